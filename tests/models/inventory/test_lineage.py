from models.clean.recipe import recipe
from models.inventory.lineage import Lineage, Process, of_groups, of_rillet
from schemas import topics

HERE = [each.name for each in (*topics.catalogue(), *topics.changelogs("shop"))]


def test_every_topic_of_the_catalogue_has_its_place_and_the_shop_alone_writes_its_own():
    processes = of_rillet("shop")
    read = {name for each in processes for name in each.reads}
    written = {name for each in processes for name in each.writes}
    assert read | written == set(HERE)
    owned_by_rillet = {each.name for each in topics.catalogue() if each.owner != "shop"}
    assert written == owned_by_rillet | {each.name for each in topics.changelogs("shop")}


def test_what_shoppers_do_reaches_all_recommendations_and_what_is_measured_none():
    lineage = Lineage(of_rillet("shop"), HERE)
    assert lineage.reaches(topics.BROWSE) == [topics.RELATED, topics.TRENDING, topics.SLATES]
    assert lineage.reaches(topics.QUALITY) == []
    assert lineage.upstream(topics.TRENDING) == [topics.ITEMS, topics.PROMOTIONS, topics.INTERACTIONS]
    assert "shop-interest-changelog" in lineage.downstream(topics.BROWSE)


def test_a_recipe_is_a_process_between_the_sources_it_names_and_what_learns():
    step = {"do": "scale", "field": "price", "factor": 0.01, "sources": [topics.BROWSE]}
    declared = recipe(
        {"version": "3", "steps": [step, {"do": "merge", "within_s": 2, "sources": [topics.SEARCH]}]}
    )
    clean = of_rillet("shop", declared)[0]
    assert (clean.name, clean.reads) == ("clean", (topics.BROWSE, topics.SEARCH))
    assert topics.INTERACTIONS in clean.writes
    assert clean.recipe.splitlines() == [
        declared.label,
        "1. scale price: events.browse",
        "2. merge: events.search",
    ]
    assert of_rillet("shop", recipe({"version": "3", "steps": []})) == of_rillet("shop")


def test_a_circle_ends_and_nothing_is_its_own_source():
    lineage = Lineage([Process("one", ("a",), ("b",)), Process("two", ("b", "c"), ("a", "recommendations.x"))],
                      ["a", "b", "c", "recommendations.x"])  # fmt: skip
    assert lineage.reaches("a") == ["recommendations.x"]
    assert Lineage([Process("self", ("a",), ("a",))], ["a"]).downstream("a") == []


def test_what_is_not_there_is_passed_over():
    lineage = Lineage(of_rillet("shop"), ["orders"])
    assert lineage.processes == []
    assert lineage.upstream("orders") == lineage.downstream("orders") == []


def test_a_group_writes_the_changelogs_that_bear_its_name():
    there = ["clicks", "counter-store-changelog", "counter-by-user-repartition", "other-store-changelog"]
    (process,) = of_groups({"counter": {"clicks"}}, there)
    assert process[:3] == (
        "counter", ("clicks",), ("counter-by-user-repartition", "counter-store-changelog"),
    )  # fmt: skip
