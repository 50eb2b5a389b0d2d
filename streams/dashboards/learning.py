"""How the ranking learns: prequential figures by scorer, drift, promotions, what slates offer."""

from typing import Final

from streams.dashboards.panel import Dashboard, Panel, Query, Row, Unit, rate


def _by_model(metric: str) -> tuple[Query, ...]:
    return (Query(f"avg by (model) ({metric})", "{{model}}"),)


def _by_model_and_k(metric: str) -> tuple[Query, ...]:
    return (Query(f"avg by (model, k) ({metric})", "{{model}} at {{k}}"),)


LEARNING: Final = Dashboard(
    "rillet-learning",
    "Rillet: learning",
    "How the ranking learns: prequential figures by scorer, drift, promotions, what slates offer.",
    (
        Row(
            "Of all scorers, by the lists that were judged before they were learned from",
            (
                Panel("Log loss", "Nats.", _by_model("rillet_model_log_loss_nats"), Unit.NUMBER),
                Panel(
                    "AUC",
                    "Share of the other candidates that score lower.",
                    _by_model("rillet_model_auc_ratio"),
                    Unit.SHARE,
                ),
                Panel(
                    "Hit rate",
                    "By the scorer's own order.",
                    _by_model_and_k("rillet_model_kept_hit_rate_ratio"),
                    Unit.SHARE,
                ),
                Panel(
                    "NDCG",
                    "By the scorer's own order.",
                    _by_model_and_k("rillet_model_kept_ndcg_ratio"),
                    Unit.SHARE,
                ),
            ),
        ),
        Row(
            "Of what serves, by the slates as shown",
            (
                Panel(
                    "Hit rate and NDCG",
                    "Misses include items that were no candidates.",
                    (
                        Query("avg by (k) (rillet_model_hit_rate_ratio)", "hit rate at {{k}}"),
                        Query("avg by (k) (rillet_model_ndcg_ratio)", "NDCG at {{k}}"),
                        Query("avg by (k) (rillet_model_mrr_ratio)", "MRR at {{k}}"),
                    ),
                    Unit.SHARE,
                ),
                Panel("Clicks by seen slate", "", _by_model("rillet_model_click_rate_ratio"), Unit.SHARE),
                Panel(
                    "Calibration",
                    "Chance given to best candidates over how often they were right: 1 is best.",
                    _by_model("rillet_model_calibration_ratio"),
                    Unit.NUMBER,
                ),
                Panel(
                    "Calibration error",
                    "Expected distance of the chance given from how often it was right.",
                    _by_model("rillet_model_calibration_error_ratio"),
                    Unit.SHARE,
                ),
            ),
        ),
        Row(
            "Happenings",
            (
                Panel(
                    "Drifts, promotions, resets, rollbacks",
                    "In an hour.",
                    (
                        Query(
                            "sum by (kind, model) (increase(rillet_model_happenings_total[1h]))",
                            "{{kind}} {{model}}",
                        ),
                    ),
                ),
                Panel(
                    "Outcomes",
                    "What came of slates; impressions are slates seen.",
                    (Query(rate("rillet_outcomes_total", "kind"), "{{kind}}"),),
                    Unit.PER_S,
                ),
                Panel(
                    "Records of others left out",
                    "Of knowledge.parameters, being of other features, sources or scorers, or broken.",
                    (Query("max by (instance) (rillet_model_foreign_records)", "{{instance}}"),),
                ),
                Panel(
                    "Who serves",
                    "Workers by version and model.",
                    (Query("count by (version, model_version) (rillet_build_info)", "{{model_version}}"),),
                ),
            ),
        ),
        Row(
            "What slates offer",
            (
                Panel(
                    "Coverage", "Share of known items.", _by_model("rillet_model_coverage_ratio"), Unit.SHARE
                ),
                Panel("Inequality", "Gini, 0 all alike.", _by_model("rillet_model_gini_ratio"), Unit.SHARE),
                Panel(
                    "Diversity",
                    "Share of pairs in a slate that are of different category.",
                    _by_model("rillet_model_diversity_ratio"),
                    Unit.SHARE,
                ),
                Panel("Novelty", "Bits.", _by_model("rillet_model_novelty_bits"), Unit.NUMBER),
            ),
        ),
    ),
)
