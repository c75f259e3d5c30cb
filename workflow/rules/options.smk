# What single rules are given: functions of the wildcards of their jobs.


def limits_of(*names):
    """Limits for all datasets, where they are not what holds anyway and would only rerun jobs."""
    anyway = vars(Limits())
    return {n: config[n] for n in names if config.get(n, anyway[n]) != anyway[n]}


def download_spec(w):
    """JSON text of what decides a download, with the limit that holds for all of them."""
    common = limits_of("max_download_gib")
    entry = deciding_download(w.dataset, common | config["datasets"][w.dataset])
    return json.dumps(entry, sort_keys=True)


def dataset_spec(w):
    """JSON text of a dataset entry, with the limits that hold for all datasets."""
    common = {"max_bad_images": config.get("max_bad_images", 0.01)}
    common |= limits_of("max_image_megapixels")
    return json.dumps(common | config["datasets"][w.dataset], sort_keys=True)


def fusions_of(w):
    """JSON text of the rules that join the votes of a run."""
    run = plan.Run(w.dataset, w.patches, w.encoder, w.classifier, int(w.seed))
    return json.dumps(plan.fusions_of(config, run), sort_keys=True)


def noise_scores(w):
    """What detectors said of the patches, where a rule asks for it."""
    run = plan.Run(w.dataset, w.patches, w.encoder, w.classifier, int(w.seed))
    if plan.fusions_of(config, run).keys() <= plan.fusions_on(config, "votes").keys():
        return []
    return f"{run.folder}/noise/scores.npz"


def rival(w):
    """The run whose votes rules on embeddings are compared with, if any."""
    run = plan.Run(w.dataset, w.patches, w.encoder, plan.NONE, int(w.seed))
    return plan.rival(config, run)


def rival_option(w):
    """Options that hand its predictions over."""
    found = rival(w)
    if found is None:
        return ""
    path = shlex.quote(f"{found.folder}/predictions.parquet")
    return f"--rival {path} --rival-classifier {shlex.quote(found.classifier)}"


LIMIT = 200  # images of test that other maps than those of detectors are made of


def fold_files(name):
    """What the networks of the folds left, for the maps that detectors see; none for others."""

    def files(w):
        if w.cnn != config["noise"]["cnn"] or w.explain != plan.GRAD_CAM:
            return []
        if not plan.detects(config):
            return []
        n_folds = config["noise"]["n_folds"]
        return [
            f"{plan.FOLD.format(**dict(w.items()), fold=fold, n_folds=n_folds)}/{name}"
            for fold in range(n_folds)
        ]

    return files


def fold_options(w, input):
    """Options that hand those over; the folds are dealt alike for each."""
    if not input.fold_states:
        return f"--splits test --limit {LIMIT}"
    states = " ".join(map(shlex.quote, input.fold_states))
    return f"--fold-states {states} --folds {shlex.quote(min(input.folds))}"


def grad_cam_files(w):
    """The maps that detectors see, if any."""
    folder = plan.grad_cam(config, w.dataset, int(w.seed))
    return [f"{folder}/{name}" for name in plan_files.EXPLAINED] if folder else []


def grad_cam_option(w):
    """Option that hands their folder over."""
    folder = plan.grad_cam(config, w.dataset, int(w.seed))
    return f"--maps {shlex.quote(folder)}" if folder else ""


def experiments_of(w):
    """JSON text of the experiments that the run a job is of can be put to, with their settings."""
    named = json.loads(about(w))
    names = plan.experiments_of(config, plan.Run(**named | {"seed": int(w.seed)}))
    return json.dumps(
        {name: config["experiments"][name] for name in names}, sort_keys=True
    )
