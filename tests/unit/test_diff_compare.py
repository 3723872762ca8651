"""Noise is left out, and what is not noise is not."""

import itertools
import random

import pytest

from tests.harness.diff import config, of_objects, rollout, service


def metadata(**fields):
    return {"metadata": {"name": "settings", "namespace": "models", **fields}}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (metadata(labels={"helm.sh/chart": "ml-0.1.0"}), metadata(labels={"helm.sh/chart": "ml-0.2.0"})),
        (metadata(annotations={"checksum/config": "1f"}), metadata(annotations={"checksum/config": "2e"})),
        (metadata(resourceVersion="1", uid="a"), metadata(resourceVersion="2", uid="b")),
        ({}, {"status": {"ready": True}}),
    ],
)
def test_noise_is_counted_and_not_shown(before, after):
    difference = of_objects([config(**before)], [config(**after)])
    assert (difference.objects, difference.noise) == ((), 1)


def test_a_hash_that_comes_is_no_noise():
    assert of_objects([config()], [config(**metadata(annotations={"checksum/config": "1f"}))]).objects


def test_what_stays_the_same_is_neither_noise_nor_shown():
    difference = of_objects([config(), service()], [service(), config()])
    assert (difference.objects, difference.noise) == ((), 0)


def of_kind(kind, **fields):
    return {"kind": kind, "apiVersion": "x/v1", "metadata": {"name": "x"}, **fields}


RULES = [{"apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get", "list"]}]
SUBJECTS = [{"kind": "User", "name": name} for name in "ab"]
PORTS = [{"name": name, "port": 80} for name in "ab"]
STEPS = [{"setWeight": 20}, {"setWeight": 50}]


@pytest.mark.parametrize(
    ("before", "after", "noise"),
    [
        (of_kind("RoleBinding", subjects=SUBJECTS), of_kind("RoleBinding", subjects=SUBJECTS[::-1]), True),
        (of_kind("Service", spec={"ports": PORTS}), of_kind("Service", spec={"ports": PORTS[::-1]}), True),
        (of_kind("Role", rules=RULES), of_kind("Role", rules=[{**RULES[0], "verbs": ["list", "get"]}]), True),
        (
            of_kind("Rollout", spec={"strategy": {"canary": {"steps": STEPS}}}),
            of_kind("Rollout", spec={"strategy": {"canary": {"steps": STEPS[::-1]}}}),
            False,
        ),
        (of_kind("Deployment", spec={"env": PORTS}), of_kind("Deployment", spec={"env": PORTS[::-1]}), False),
    ],
)
def test_order_counts_where_it_has_a_meaning(before, after, noise):
    difference = of_objects([before], [after])
    assert (difference.objects == ()) is noise
    assert difference.noise == noise


def test_a_generated_name_is_one_object_and_so_are_its_references():
    def side(name):
        pod = {"spec": {"volumes": [{"name": "v", "configMap": {"name": name}}]}}
        return [config(name), of_kind("Deployment", spec={"template": pod})]

    difference = of_objects(side("settings-7d9c5b8f4c"), side("settings-5f6bk2m9tt"))
    assert (difference.objects, difference.noise) == ((), 2)


def test_a_generated_name_whose_content_differs_is_a_change_not_two():
    (each,) = of_objects([config("settings-0a1b2c3d")], [config("settings-4e5f6a7b", data={"mode": "slow"})]).objects
    assert (each.name, each.change) == ("settings-(hash)", "changed")
    assert "-  mode: fast" in each.diff


def test_two_generated_names_of_one_stem_stay_two():
    names = ["x-0a1b2c3d", "x-1a1b2c3d"], ["x-2a1b2c3d", "x-3a1b2c3d"]
    difference = of_objects(*([config(name) for name in side] for side in names))
    assert sorted(each.change for each in difference.objects) == ["added", "added", "deleted", "deleted"]


def test_a_generated_name_in_a_pod_template_still_starts_a_canary_and_is_shown():
    def side(name):
        volume = {"name": "v", "configMap": {"name": name}}
        return [config(name), service(volumes=[volume]), rollout()]

    difference = of_objects(side("settings-7d9c5b8f4c"), side("settings-5f6bk2m9tt"))
    assert [effect.outcome for effect in difference.effects] == ["canary"]
    (each,) = difference.objects
    assert each.risk == "canary"
    assert "+        name: settings-5f6bk2m9tt" in each.diff


@pytest.mark.parametrize("name", ["sklearn-iris", "rule-20260101", "web-deadbeef", "iris-v2", "burn-rate-windows"])
def test_a_name_that_is_none_of_a_generator_stays(name):
    assert [each.name for each in of_objects([], [config(name)]).objects] == [name]
    other = f"{name[:-1]}z"
    assert len(of_objects([config(name)], [config(other)]).objects) == 2


def test_the_same_name_in_another_namespace_or_group_is_another_object():
    other = config(metadata={"name": "settings", "namespace": "other"})
    assert len(of_objects([config()], [other]).objects) == 2
    assert len(of_objects([config()], [config(apiVersion="example.com/v1")]).objects) == 2
    assert len(of_objects([config()], [config(apiVersion="v2")]).objects) == 1


def test_the_greatest_risk_comes_first_whatever_the_order_of_the_objects():
    before = [config("gone"), service(), rollout(), of_kind("Service", spec={"selector": {"a": "b"}}), config()]
    after = [
        service(model={"image": "server:2"}),
        rollout(),
        of_kind("Service", spec={"selector": {"a": "c"}}),
        of_kind("ServiceAccount"),
        config(data={"mode": "slow"}),
    ]
    seen = set()
    for seed in range(5):
        shuffled = [random.Random(seed + number).sample(side, len(side)) for number, side in enumerate((before, after))]
        difference = of_objects(*shuffled)
        seen.add(difference)
    assert len(seen) == 1
    assert [each.risk for each in difference.objects] == ["structure", "canary", "deleted", "rbac", "rest"]


def test_a_deleted_crd_is_told_as_structure_and_a_deleted_role_as_deleted():
    gone = [of_kind("CustomResourceDefinition"), of_kind("Role")]
    assert [(each.kind, each.risk) for each in of_objects(gone, []).objects] == [
        ("CustomResourceDefinition", "structure"),
        ("Role", "deleted"),
    ]


def test_the_diff_is_unified_over_sorted_keys():
    before = {**config(), "data": {"b": "1", "a": "1", "text": "one\ntwo\n"}}
    after = {"data": {"text": "one\n2\n", "a": "1", "b": "1"}, **{k: v for k, v in config().items() if k != "data"}}
    (each,) = of_objects([before], [after]).objects
    assert each.diff == (
        "@@ -4,7 +4,7 @@",
        "   b: '1'",
        "   text: |",
        "     one",
        "-    two",
        "+    2",
        " kind: ConfigMap",
        " metadata:",
        "   name: settings",
    )


def test_shared_parts_of_a_document_are_written_out():
    shared = {"x": "1"}
    (each,) = of_objects([], [of_kind("Deployment", spec={"a": shared, "b": shared})]).objects
    assert not [line for line in each.diff if "&id" in line or "*id" in line]


def test_every_pair_of_plain_values_is_told_apart():
    values = [True, False, 0, 1, 1.5, "1", "true", "", None, [], {}, [1], {"a": 1}]
    for one, other in itertools.combinations(values, 2):
        different = of_objects([config(field=one)], [config(field=other)]).objects
        assert bool(different) is True, (one, other)
