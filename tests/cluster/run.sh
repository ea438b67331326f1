#!/usr/bin/env bash
# Starts a Slurm of one node on the loopback, runs the demo through the slurm profile, kills one of its jobs on the way,
# lets another run out of memory, checks that both were submitted again, the latter with more memory, and that the demo
# came out, and stops what it started.
#
#   sudo tests/cluster/run.sh [FOLDER]
#
# FOLDER (default: a new one) keeps the results, Slurm's logs and its list of completed jobs. Needs root and the Debian
# packages slurmctld, slurmd, slurm-client and munge; nothing of the machine's own Slurm or munge is touched. The
# package is taken from .venv (make install). Job steps forget SLURM_CONF, so the configuration is linked from
# /etc/slurm/slurm.conf while the script runs; where that file exists the script refuses to start.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$(realpath "${1:-$(mktemp --directory)}")
host=$(hostname --short)
failures=0
pids=()
link=/etc/slurm/slurm.conf
[ ! -e "$link" ] || { echo "$link exists: this machine has a Slurm of its own" >&2; exit 2; }

say() { printf '\n== %s\n' "$*"; }
check() { # MESSAGE COMMAND...
    if "${@:2}"; then echo "ok      $1"; else echo "FAILED  $1"; failures=$((failures + 1)); fi
}
stop() {
    rm -f "$link"
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do kill "${pids[i]}" 2>/dev/null || true; done
    wait 2>/dev/null || true
}
trap stop EXIT

for tool in slurmctld slurmd munged squeue sbatch; do
    command -v "$tool" >/dev/null || { echo "missing: $tool (apt-get install slurmctld slurmd slurm-client munge)" >&2; exit 2; }
done
[ -x "$project/.venv/bin/snakemake" ] || { echo "missing: .venv (make install)" >&2; exit 2; }

say "Starting munge and Slurm in $folder"
slurm="$folder/slurm"
mkdir -p "$slurm"/{state,spool}
chmod 755 "$folder" "$slurm"
head --bytes 1024 /dev/urandom >"$slurm/munge.key"
chmod 600 "$slurm/munge.key"
munged --foreground --force --key-file "$slurm/munge.key" --socket "$slurm/munge.socket" --seed-file "$slurm/munge.seed" \
    --log-file "$slurm/munge.log" --pid-file "$slurm/munge.pid" >"$slurm/munge.out" 2>&1 &
pids+=($!)

cat >"$slurm/slurm.conf" <<CONF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=46817
SlurmdPort=46818
AuthType=auth/munge
AuthInfo=socket=$slurm/munge.socket
CryptoType=crypto/munge
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd.pid
SlurmctldLogFile=$slurm/slurmctld.log
SlurmdLogFile=$slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/filetxt
JobCompLoc=$slurm/completed.txt
MinJobAge=3600
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk '/MemTotal/ {print int($2 / 1100)}' /proc/meminfo)
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$slurm/slurm.conf"
mkdir -p "$(dirname "$link")"
ln -s "$SLURM_CONF" "$link"
sleep 1
slurmctld -D -f "$SLURM_CONF" >"$slurm/slurmctld.out" 2>&1 &
pids+=($!)
slurmd -D -f "$SLURM_CONF" >"$slurm/slurmd.out" 2>&1 &
pids+=($!)
for _ in $(seq 30); do
    sinfo --noheader --format %t 2>/dev/null | grep --quiet --extended-regexp 'idle|mix' && break
    sleep 1
done
sinfo

say "Running the demo through Slurm; the first training is killed by the scheduler, evaluations run out of memory"
first_memory=400 # MB: too few for Snakemake, Python and torch together, and enough in the second or third attempt
work="$folder/work"
mkdir -p "$work"
(
    for _ in $(seq 600); do
        job=$(squeue --noheader --states RUNNING --format '%i %k' | awk '/train/ {print $1; exit}')
        if [ -n "$job" ]; then
            scancel --signal KILL --full "$job"
            echo "$job" >"$folder/killed"
            exit
        fi
        sleep 0.5
    done
) &
pids+=($!)
started=$SECONDS
status=0
(cd "$project" && .venv/bin/snakemake demo --configfile config/demo.yaml --directory "$work" \
    --workflow-profile slurm --jobs 4 --latency-wait 10 --slurm-status-command squeue \
    --slurm-init-seconds-before-status-checks 5 --slurm-logdir "$work/logs/slurm" --slurm-no-account \
    --set-threads train=1 evaluate=1 --set-resources train:gpu=0 evaluate:gpu=0 prepare:mem_mb=2000 \
    split:mem_mb=2000 train:mem_mb=2000 "evaluate:mem_mb=$first_memory * attempt") \
    >"$folder/demo.log" 2>&1 || status=$?
echo "ran in $((SECONDS - started)) s"
grep --extended-regexp 'steps|rror|Trying to restart' "$folder/demo.log" | tail -n 40

say "Checks"
completed=$(grep --count JobState=COMPLETED "$slurm/completed.txt" || true)
finished=$(grep --count 'Finished jobid' "$folder/demo.log" || true)
check "the demo came out" test "$status" = 0
check "Table 2 is there, and says that its data are made" grep --quiet synthetic "$work/results/tables/table2.md"
check "one training was killed by the scheduler" test -s "$folder/killed"
check "Slurm counts it as failed or cancelled" \
    grep --quiet --extended-regexp "JobId=$(cat "$folder/killed" 2>/dev/null) .*JobState=(FAILED|CANCELLED|NODE_FAIL)" "$slurm/completed.txt"
check "it was submitted again" grep --quiet 'Trying to restart job' "$folder/demo.log"
check "a job ran out of memory" grep --quiet 'exceeded memory limit' "$slurm/slurmd.log"
check "it was submitted again with more, and came through" \
    grep --quiet --extended-regexp "JobState=COMPLETED .*mem=$((2 * first_memory))M" "$slurm/completed.txt"
check "every job but the rendering went through Slurm ($completed completed there, $finished jobs in all)" \
    test "$completed" -ge "$((finished - 5))"
cut --delimiter ' ' --fields 1-6 "$slurm/completed.txt" | tail -n 5
exit "$((failures > 0))"
