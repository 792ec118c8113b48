"""Pairs of a bipartite graph, as many as can be."""

from collections.abc import Iterator, Mapping, Sequence


def largest_matching(graph: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """A matching of the most pairs (Hopcroft and Karp): by vertex of the right side, that of the left.

    Each left vertex first takes its first neighbour that is free; then all shortest alternating paths are turned over
    at once, again and again. Of several largest matchings, the order of vertices and neighbours decides.

    Args:
        graph: neighbours on the right by vertex on the left.

    Example:
        >>> largest_matching({0: [5, 6], 1: [5]})
        {5: 1, 6: 0}
    """
    matched: dict[int, int] = {}
    for left, neighbours in graph.items():
        for right in neighbours:
            if right not in matched:
                matched[right] = left
                break
    while True:
        came_from, origin, ends = _layers(graph, matched)
        if not ends:
            return matched
        for right in ends:
            _turn_over(right, came_from, origin, matched)


_FREE = None


def _layers(
    graph: Mapping[int, Sequence[int]], matched: Mapping[int, int]
) -> tuple[dict[int, list[int]], dict[int, int | None], list[int]]:
    """Breadth first from the free left vertices: the left ones before each right one, the right ones before each left
    one (_FREE: none), and the free right ones of the first layer that has any.
    """
    taken = set(matched.values())
    origin: dict[int, int | None] = {left: _FREE for left in graph if left not in taken}
    came_from: dict[int, list[int]] = {}
    ends: list[int] = []
    layer = list(origin)
    while layer and not ends:
        fresh: dict[int, list[int]] = {}
        for left in layer:
            for right in graph[left]:
                if right not in came_from:
                    fresh.setdefault(right, []).append(left)
        came_from.update(fresh)
        layer = []
        for right in fresh:
            if right in matched:
                layer.append(matched[right])
                origin[matched[right]] = right
            else:
                ends.append(right)
    return came_from, origin, ends


def _turn_over(
    end: int, came_from: dict[int, list[int]], origin: dict[int, int | None], matched: dict[int, int]
) -> None:
    """Follow a path back from a free right vertex, no vertex twice; where it reaches a free left one, turn it over."""
    path: list[tuple[int, Iterator[int]]] = [(end, iter(came_from.pop(end, ())))]
    steps: list[int] = []
    while path:
        left = next((each for each in path[-1][1] if each in origin), None)
        if left is None:
            path.pop()
            if steps:
                steps.pop()
            continue
        steps.append(left)
        before = origin.pop(left)
        if before is _FREE:
            for (vertex, _), partner in zip(path, steps, strict=True):
                matched[vertex] = partner
            return
        path.append((before, iter(came_from.pop(before, ()))))
