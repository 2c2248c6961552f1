"""Arguments of Lightning's Trainer that the suite has its own option for."""

_EPOCHS = "the length of a stage is recipe.<stage or scheme>.epochs, such as recipe.pretrain.epochs=10"
_EVERY_EPOCH = "each stage validates after every epoch, and the best epoch is chosen from all of them"
FILES = "a run writes its own checkpoints, from which the same command continues"

# What a person who knows Lightning writes, and what does the same here.
INSTEAD = {
    "fast_dev_run": "use +debug=one_batch: one batch of each stage and the test",
    "max_epochs": _EPOCHS,
    "min_epochs": _EPOCHS,
    "max_steps": f"{_EPOCHS}; trainer.limit_train_batches shortens an epoch",
    "min_steps": _EPOCHS,
    "max_time": f"{_EPOCHS}; a run may be stopped at any time and continued by the same command",
    "overfit_batches": "use trainer.limit_train_batches=N, which trains on N batches of every epoch",
    "callbacks": "use +callbacks.<name>={_target_: ...}",
    "logger": "use logger=wandb or logger=tensorboard; every stage writes metrics.csv",
    "default_root_dir": "use paths.run_dir or paths.output_dir",
    "barebones": FILES,
    "use_distributed_sampler": "the data set divides every batch among the processes itself",
    "val_check_interval": _EVERY_EPOCH,
    "check_val_every_n_epoch": _EVERY_EPOCH,
}
