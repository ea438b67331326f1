# Section 5 of the paper by name. What each ablation varies, and over which values, stands under `ablations` in
# config.yaml; a run that two of them share is trained once.


localrules:
    ablation_graph_size,
    ablation_warmup,
    ablation_barlow_weight,
    ablation_alignment,
    ablation_backbone,


# Section 5.1: how many of each user's last interactions become edges.
rule ablation_graph_size:
    input:
        rules.figure3.output,


# Section 5.2: epochs of the graph loss alone before joint training.
rule ablation_warmup:
    input:
        rules.figure4.output,


# Section 5.3: the weight of the Barlow Twins term.
rule ablation_barlow_weight:
    input:
        rules.figure5.output,


# Section 5.3: no, contrastive, or Barlow Twins alignment, for each graph encoder.
rule ablation_alignment:
    input:
        rules.table4.output,


# Section 5.4: which sequence encoder with which graph encoder.
rule ablation_backbone:
    input:
        rules.table5.output,
