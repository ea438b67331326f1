# Section 5 of the paper by name: `ablation_warmup` is the figure that shows it. What each ablation varies stands in
# src/createrec/exhibits.py, over which values under `ablations` in config.yaml; a run that two of them share is trained
# once.

for exhibit in GROUPS.values():
    if exhibit.group != exhibit.name:

        rule:
            name:
                exhibit.group
            input:
                getattr(rules, exhibit.name).output,
            localrule: True
