#!/usr/bin/env bash
# Makes older.tar.xz: small files as aulight 0.1.0 writes them. Run once, with that version (revision c2b146d):
#
#   git worktree add /tmp/before c2b146d && make -C /tmp/before install && tests/older/make.sh /tmp/before/.venv
#
# It is not to be made anew with a later version, since then it would show nothing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$(cd "$1/bin" && pwd)
work=$(mktemp -d)/older
mkdir "$work" && cd "$work"
export NO_ALBUMENTATIONS_UPDATE=1 OMP_NUM_THREADS=1 MPLBACKEND=Agg
export -n PYTHONPATH
[ "$("$bin/aulight" --version)" = "aulight 0.1.0" ]
[ "$(git -C "$("$bin/python" -c 'import aulight; print(*aulight.__path__)')" describe --always --dirty)" = c2b146d ]

aulight() { "$bin/aulight" "$@"; }

# Ctrl-C as the second step of the second of two epochs begins: the last checkpoint is half-way.
interrupted() {
    "$bin/python" -c '
import sys
from pytorch_lightning import LightningModule
from aulight.cli import main

def interrupt(stage, *_):
    if stage.global_step == stage.trainer.estimated_stepping_batches // 2 + 1:
        raise KeyboardInterrupt

LightningModule.on_train_batch_start = interrupt
sys.argv[0] = "aulight"
main()' "$@" || [ $? = 130 ]
}

# Random numbers cannot be packed. So the weights of stage one are rounded to 1/32, and what AdamW remembers of each is
# one small number. BatchNorm and whatever else is a vector stays. Stage two keeps the encoder as it is (freeze=encoder),
# which makes its weights the same bytes in every file.
round_weights() {
    "$bin/python" -c '
import sys
import torch

checkpoint = torch.load(sys.argv[1], weights_only=True)
for name, weight in checkpoint["state_dict"].items():
    if weight.ndim > 1:
        weight.copy_((weight * 32).round() / 32)
for moments in checkpoint["optimizer_states"][0]["state"].values():
    moments["exp_avg"].fill_(0)
    moments["exp_avg_sq"].fill_(1e-8)
torch.save(checkpoint, sys.argv[1])' "$1"
}

# ---- datasets -------------------------------------------------------------------------------------------------------

# data/synthetic-smoke-seed31: ten drawn faces of 40 frames. raw/: three videos of one real face. clip.mp4: a drawn face.
"$bin/python" -c '
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from aulight.data import synthetic
from aulight.data.video import write_video

synthetic.SIZES["smoke"] = synthetic.Size(pixels=64, frames=40, unlabelled=2, train=3, validation=2, test=3)
Path("data").mkdir()
synthetic.generate(Path("data/synthetic-smoke-seed31"), "smoke", seed=31, workers=1)
write_video(Path("clip.mp4"), synthetic.render_video(7, 64, 30)[0], 25, crf=23)

astronaut = skimage.data.astronaut()
for number, name in enumerate(("a", "day two/b", "c")):
    turn = 2 * np.pi * np.arange(25) / 25 + number
    frames = [
        cv2.warpAffine(astronaut, np.array([[s, 0, 128 - s * 222 + x], [0, s, 96 - s * 116]]), (256, 192), borderMode=1)
        for s, x in zip(1 + 0.05 * np.sin(turn), 8 * np.cos(turn), strict=True)
    ]
    file = Path(f"raw/{name}.mp4")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_video(file, frames, 25, crf=30)

rng = np.random.default_rng(0)
rows = [f"{name},{frame},{rng.integers(6)},{rng.integers(6)}" for name in ("a", "day two/b.mp4", "c") for frame in range(0, 25, 2)]
Path("labels.csv").write_text("\n".join(["video,frame,AU01,AU12", *rows]) + "\n")'

# What a file system may not keep to the nanosecond, a finished `predict` would take for a change.
touch -d @1700000000 clip.mp4

aulight prepare data.name=faces data.source=raw labels=labels.csv crop_size=64 workers=1

# ---- runs -----------------------------------------------------------------------------------------------------------

both=(runs=runs data_dir=data loader.batch_size=3 loader.workers=0 threads=1
    trainer.accelerator=cpu trainer.precision=32 trainer.log_every_n_steps=1)
small=(model.embedding=16 model.hidden=16)
one=("${both[@]}" "${small[@]}" data.size=smoke data.seed=31 steps=4 steps_per_epoch=2 objective.hidden=16 objective.projection=16
    clip.length=6 'clip.stride=[2,4]' probe.every_epochs=1)
two=("${both[@]}" steps=12 steps_per_epoch=6 clip.length=4 'clip.stride=[2,2]' loader.chunk=16)
from_one=(pretrained=runs/pretrain/synthetic-fold1-resnet_tiny-gru-seed0 freeze=encoder optim.lr=0.05)
drawn=(data.size=smoke data.seed=31 label_fraction=0.2)
faces=(data=folder data.name=faces label_fraction=1.0)
name=runs/finetune/synthetic-fold1-pretrained-0.2-seed

aulight pretrain "${one[@]}" seed=0
interrupted pretrain "${one[@]}" seed=1
round_weights runs/pretrain/synthetic-fold1-resnet_tiny-gru-seed0/checkpoints/last.ckpt
round_weights runs/pretrain/synthetic-fold1-resnet_tiny-gru-seed1/checkpoints/last.ckpt

aulight finetune "${two[@]}" "${drawn[@]}" "${from_one[@]}" seed=0
aulight finetune "${two[@]}" "${drawn[@]}" "${from_one[@]}" seed=1
interrupted finetune "${two[@]}" "${drawn[@]}" "${from_one[@]}" seed=2
aulight finetune "${two[@]}" "${drawn[@]}" "${small[@]}" seed=0
aulight finetune "${two[@]}" "${drawn[@]}" "${small[@]}" seed=1
aulight finetune "${two[@]}" "${faces[@]}" "${from_one[@]}"
aulight finetune runs=runs data_dir=data "${faces[@]}" model=blendshapes

# ---- models and what they say ---------------------------------------------------------------------------------------

aulight export run=${name}0 output=model.aulight licence=CC0-1.0
aulight export run=${name}0 output=model.onnx format=onnx
aulight export run=runs/finetune/faces-fold1-pretrained-1.0-seed0 output=faces.aulight
aulight predict model=model.aulight input=clip.mp4 output=predictions faces=none device=cpu

# ---- what the tests compare with ------------------------------------------------------------------------------------

mkdir expected
aulight predict model=faces.aulight input=raw/a.mp4 output=expected device=cpu
aulight report runs=runs output=report bootstrap.replicates=500
mv report/summary.json expected/ && rm -r report
# the interrupted runs, gone on with in copies of them
cp -r runs whole
aulight pretrain "${one[@]}" seed=1
aulight finetune "${two[@]}" "${drawn[@]}" "${from_one[@]}" seed=2
mv runs/pretrain/synthetic-fold1-resnet_tiny-gru-seed1/metrics.csv expected/pretrain.csv
mv ${name}2/metrics.csv expected/finetune.csv
rm -r runs && mv whole runs

# ---- the archive ----------------------------------------------------------------------------------------------------

# Checkpoints stay where something reads them: of stage one, of one finished run, of the interrupted ones.
rm -r runs/finetune/faces-*/checkpoints runs/finetune/*-scratch-*/checkpoints ${name}1/checkpoints
find . -name .lock -delete
cd ..
XZ_OPT=-9e tar -cJf "$here/older.tar.xz" --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX older
tar -tvf "$here/older.tar.xz"
ls -l "$here/older.tar.xz"
echo "made in $work"
