"""The graph: what is refused, what depends on what, and JSON there and back."""

import json

import pytest

from minitl.errors import GraphError, ShapeError
from minitl.nn import Concat, Conv2d, Graph, Linear, Node, ReLU
from minitl.nn.graph import chain, rewire


def relus(*edges):
    """Graph of elementwise nodes: "b<a" takes a; "c<a,b" joins a and b."""
    nodes = []
    for edge in edges:
        name, _, inputs = edge.partition("<")
        sources = tuple(inputs.split(","))
        nodes.append(Node(name, Concat() if len(sources) > 1 else ReLU(), sources))
    return Graph(nodes)


FORK = ("a<input", "b<a", "c<a", "d<b,c", "e<d")
BYPASS = ("a<input", "b<a", "c<b,input", "d<c")


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        (("a<input", "a<a"), "two nodes are named 'a'"),
        (("input<input",), "not be 'input'"),
        (("a b<input",), "letters, digits"),
        (("a/b<input",), "letters, digits"),
        (("a<b", "b<input"), "takes 'b', which no earlier node"),
        ((), "at least one node"),
    ],
)
def test_nonsense_is_refused(edges, words):
    with pytest.raises(GraphError, match=words):
        relus(*edges)


def test_a_node_without_inputs_is_refused():
    with pytest.raises(GraphError, match="has no inputs"):
        Graph([Node("a", ReLU(), ())])


def test_ancestors():
    graph = relus(*FORK)
    assert graph.ancestors("d") == {"a", "b", "c", "d"}
    assert graph.ancestors("b") == {"a", "b"}
    with pytest.raises(GraphError, match="no layer 'z'; there are a, b, c, d, e"):
        graph.ancestors("z")


def test_segments():
    graph = relus(*FORK)
    assert [n.name for n in graph.segment("a", "e")] == ["b", "c", "d", "e"]
    assert [n.name for n in graph.segment("input", "c")] == ["a", "c"]
    with pytest.raises(GraphError, match="'e' cannot be computed from 'b' alone"):
        graph.segment("b", "e")
    with pytest.raises(GraphError, match="'b' cannot be computed from 'd' alone"):
        graph.segment("d", "b")
    with pytest.raises(GraphError, match="cannot be computed from 'b' alone"):
        relus(*BYPASS).segment("b", "d")


def test_bottlenecks_are_where_everything_goes_through():
    assert relus(*FORK).bottlenecks() == ["a", "d", "e"]
    assert relus(*BYPASS).bottlenecks() == ["c", "d"]


def test_a_value_that_nobody_takes_is_no_bottleneck():
    assert relus("a<input", "b<a", "c<a").bottlenecks() == ["a"]


def test_match_takes_globs_and_aliases_and_keeps_the_order():
    graph = relus("conv1<input", "conv2<conv1", "relu<conv2")
    assert graph.match("conv*") == ["conv1", "conv2"]
    assert graph.match("features.*", {"features.3": "conv2", "features.0": "conv1"}) == ["conv1", "conv2"]
    assert graph.match("conv[2-9]") == ["conv2"]
    assert graph.match("pool*") == []


def test_shapes_name_the_layer_that_does_not_fit():
    graph = Graph(chain([("c", Conv2d(3, 4, 3)), ("fc", Linear(7, 2))]))
    with pytest.raises(ShapeError, match=r"layer 'fc': linear: expects 7 features.*\(4, 6, 6\)"):
        graph.shapes((3, 8, 8))
    with pytest.raises(ShapeError, match=r"layer 'c'.*1 channels"):
        graph.shapes((1, 8, 8))


def test_json_there_and_back(net):
    text = json.dumps(net.graph.to_json())
    again = Graph.from_json(json.loads(text))
    assert list(again) == list(net.graph)
    assert json.dumps(again.to_json()) == text


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (None, "at least one node"),
        ([3], "node 0 of the graph needs"),
        ([{"name": "a", "op": "relu", "inputs": "input", "attributes": {}}], "malformed"),
        ([{"name": "a", "op": ["relu"], "inputs": ["input"], "attributes": {}}], "malformed"),
        ([{"name": "a", "op": "relu", "inputs": [["input"]], "attributes": {}}], "malformed"),
        ([{"name": "a", "op": "relux", "inputs": ["input"], "attributes": {}}], "no layer has op 'relux'"),
        ([{"name": "a", "op": "relu", "inputs": ["input"], "attributes": {"p": 1}}], "relu cannot be made from"),
        ([{"name": "a", "op": "linear", "inputs": ["input"], "attributes": {}}], "linear cannot be made from"),
    ],
)
def test_malformed_json_is_refused(nodes, words):
    with pytest.raises(GraphError, match=words):
        Graph.from_json(nodes)


def test_rewire():
    nodes = rewire(relus(*FORK), "b", "a")
    assert [n.inputs for n in nodes][3] == ("a", "c")
