"""Describes results/published/ as an RO-Crate (https://w3id.org/ro/crate): ro-crate-metadata.json, for machines that
look for research objects. Folders are described as wholes, so that a new record changes nothing but the date.

    make crate
"""

import json
from pathlib import Path

import yaml
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "results" / "published"
PARTS = {
    "runs/": ("Records of runs", "One record.json per run: settings, data, split, metrics, history, versions, device."),
    "tables/": ("Tables", "Tables 1 to 5 of the paper as far as they have been run, rendered from the records."),
    "comparison/": ("Comparison with the paper", "Ours beside the paper's numbers, and a verdict on each claim."),
    "data/": ("Datasets", "What was read of each dataset: counts, checksum and origin of the raw file."),
    "splits/": ("Splits", "What each split of a dataset contains."),
    "tuning/": ("Studies", "Every trial of the searches, and what they chose."),
    "untuned/": ("Records of untuned runs", "The same with the models' own defaults."),
    "metrics.csv": ("Metrics", "All metrics of all runs: one row per dataset, model, variant, seed and metric."),
    "report.html": ("Report", "All results as one page."),
}


def newest(folder: Path) -> str:
    """The day of the newest record."""
    return max(json.loads(path.read_text())["created"] for path in folder.rglob("record.json"))[:10]


def main() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    paper, licence = citation["preferred-citation"], citation["license"]
    crate = ROCrate()
    crate.name = f"Results of {citation['title']}"
    crate.description = citation["abstract"].strip()
    crate.datePublished = newest(PUBLISHED)
    crate.license = f"https://spdx.org/licenses/{licence}"
    crate.root_dataset["keywords"] = citation["keywords"]
    article = ContextEntity(crate, paper["url"], {"@type": "ScholarlyArticle", "name": paper["title"]})
    article["author"] = [
        crate.add(ContextEntity(crate, f"#{author['family-names']}", {
            "@type": "Person", "name": f"{author['given-names']} {author['family-names']}"}))
        for author in paper["authors"]
    ]  # fmt: skip
    crate.root_dataset["citation"] = crate.add(article)
    software = {
        "@type": ["SoftwareSourceCode", "ComputationalWorkflow"],
        "name": "createrec",
        "version": citation["version"],
        "programmingLanguage": "Snakemake",
        "license": crate.license,
    }
    crate.root_dataset["isBasedOn"] = crate.add(ContextEntity(crate, "#createrec", software))
    for name, (title, description) in PARTS.items():
        properties = {"name": title, "description": description}
        if not (PUBLISHED / name).exists():
            raise SystemExit(f"{PUBLISHED / name}: missing; expected every part that {Path(__file__).name} names")
        add = crate.add_dataset if name.endswith("/") else crate.add_file
        add(dest_path=name, properties=properties)
    crate.metadata.write(PUBLISHED)
    print(PUBLISHED / crate.metadata.id)


if __name__ == "__main__":
    main()
