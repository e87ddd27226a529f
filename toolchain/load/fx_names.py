"""What the tensors of a torch.fx graph are called: after the modules that they come from."""

from collections.abc import Mapping

from toolchain.load.aten import IDENTITY


def is_aten(node) -> bool:
    """Whether the node calls an operator with a schema (torch._ops.OpOverload)."""
    return hasattr(node.target, "_schema")


def op_name(node) -> tuple[str, bool]:
    """("relu", True) for aten.relu_."""
    if not is_aten(node):
        return str(node.target), False
    op = node.target._schema.name.split("::")[-1]
    return (op.removesuffix("_"), True) if node.target._schema.is_mutable else (op, False)


class TensorNames(Mapping):
    """Node -> the name of what it gives: the path of the module, where a layer's work ends in this call; else
    `<path>.<op>`, at the top `<op>`.

    module: None where only the names of its classes are left, in the graph
    """

    def __init__(self, graph, module):
        calls = [(node, *_innermost(node)) for node in graph.nodes if node.op == "call_function"]
        last = {key: node for node, key, _ in calls if op_name(node)[0] not in IDENTITY}
        self.paths = {node: path for node, _, path in calls}
        stacks = [list((node.meta.get("nn_module_stack") or {}).values()) for node, _, _ in calls]
        around = {path for stack in stacks for path, _ in stack[:-1]}
        kinds = {path: kind for stack in stacks for path, kind in stack}
        self.own = {last[key] for node, key, path in calls if key in last and (
            _is_layer(module, path) if module is not None else _is_named_layer(path, kinds, around))}

    def __getitem__(self, node) -> str:
        path = self.paths[node]
        return path if node in self.own else ".".join(filter(None, (path, op_name(node)[0].strip("_"))))

    def __iter__(self):
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def where(self, node) -> str:
        return self.paths[node] or "the top level"


def _innermost(node) -> tuple[str, str]:
    """(key of this call of the module, path of the module)."""
    stack = node.meta.get("nn_module_stack") or {"": ("", "")}
    key, (path, _) = list(stack.items())[-1]
    return key, path


def _is_named_layer(path: str, kinds, around) -> bool:
    """As _is_layer, by the class's name and by the calls inside of other modules."""
    return bool(path) and (path not in around or str(kinds[path]).startswith(
        ("torch.nn.modules.", "<class 'torch.nn.modules.")) and ".container." not in str(kinds[path]))


def _is_layer(module, path: str) -> bool:
    """Whether the module is a layer of torch.nn, made from one, or has no modules inside."""
    if not path:
        return False
    layer = module.get_submodule(path)
    kinds = {c.__name__ for c in type(layer).__mro__ if c.__module__.startswith("torch.nn.modules")}
    return not any(layer.children()) or bool(kinds - {"Module", "Sequential", "ModuleList", "ModuleDict"})
