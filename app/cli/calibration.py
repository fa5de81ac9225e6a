"""`cxr calibrate`: how a bundle's own models see films, and how true its probabilities of findings are.

As in `training`, the training stack is imported inside the command.
"""

from app.cli.console import console
from app.cli.options import (
    DEFAULT_CACHE,
    BundleArgument,
    CacheOption,
    DataArgument,
    DeviceOption,
    SplitOption,
    training_errors,
)


def calibrate(
    bundle: BundleArgument,
    data: DataArgument,
    split: SplitOption = "validation",
    cache: CacheOption = DEFAULT_CACHE,
    device: DeviceOption = "cpu",
) -> None:
    """Find out how the bundle's own models see films, and write calibration.json into the bundle, and findings.json
    where it declares findings.

    The service refuses then what is unlike them, and sees how a film lies, where the bundle has no screen. Where it has
    one, the bundle's own models are asked when the screen is in doubt. Probabilities of findings are calibrated.
    """
    with training_errors():
        from models.evaluation.calibration import calibrate as measure
        from models.evaluation.calibration import write_calibration
        from models.evaluation.findings import calibrate_findings, write_findings
        from models.evaluation.subject import Subject

        subject = Subject(bundle, data, cache, split, device)
        calibration = measure(subject)
        write_calibration(subject, calibration)
        findings, left_out = calibrate_findings(subject)
        if subject.bundle.manifest.findings:
            write_findings(subject, findings)
    for name, found in calibration.measures.items():
        console.print(f"{name}: {found.centre:.5g}, spread {found.spread:.3g}", markup=False)
    limits = f"doubted beyond a distance of {calibration.doubt:.3g}, refused beyond {calibration.refuse:.3g}"
    console.print(f"{calibration.films} films; {limits}", markup=False)
    for name, fitted in findings.findings.items():
        point = fitted.operating_points.youden
        cut = (
            f"yes from {point.threshold:.3f}: sensitivity {point.sensitivity:.3f}, specificity {point.specificity:.3f}"
        )
        console.print(f"{name}: {fitted.positive} with yes, {fitted.negative} with no; {cut}", markup=False)
    for name, reason in left_out.items():
        console.print(f"{name}: not calibrated: {reason}", markup=False)
