"""`python -m extract.demo.training`: make the data, train, write the weights folder."""

import argparse
from pathlib import Path

import torch

from extract.demo.training.train import train_clap, train_clip

_WEIGHTS = Path(__file__).parents[2] / "backbones" / "tiny" / "weights"


def main() -> None:
    """Parse the options and train."""
    parser = argparse.ArgumentParser(prog="python -m extract.demo.training", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=_WEIGHTS, help="weights folder [default: the package's]")
    parser.add_argument("--part", choices=["all", "clip", "clap"], default="all", help="train one of the two alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clip-steps", type=int, default=2500)
    parser.add_argument("--clap-steps", type=int, default=2500)
    parser.add_argument("--pictures", type=int, default=30_000, help="pictures made for training")
    parser.add_argument("--stems", type=int, default=60, help="sounds made for each thing")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    def log(line: str) -> None:
        print(line, flush=True)

    if options.part != "clap":
        folder = options.output / "clip"
        train_clip(folder, seed=options.seed, steps=options.clip_steps, pictures=options.pictures, log=log)
    if options.part != "clip":
        folder = options.output / "clap"
        train_clap(folder, seed=options.seed, steps=options.clap_steps, stems=options.stems, log=log)


if __name__ == "__main__":
    main()
