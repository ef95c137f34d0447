"""The features that each model reads, as Feast's services have them: a spec's inputs, and no more."""

from lakehouse.dbt.manifest import DbtModels
from lakehouse.online.feast_repo import Service
from ml.data.columns import columns_of
from ml.spec import load_spec, spec_names


def feature_services(models: DbtModels) -> list[Service]:
    """One per spec, named as the spec."""
    specs = [load_spec(name) for name in spec_names()]
    return [
        Service(
            name=spec.name,
            description=spec.description,
            model=spec.features_model,
            features=columns_of(models, spec.training_model).features,
        )
        for spec in specs
    ]
