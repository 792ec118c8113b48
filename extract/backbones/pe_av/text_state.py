"""What PE-AV's heads take of its text encoder: the first token's state before the last norm.

The published models were trained on a state from the middle of ModernBERT, where no norm had been. The
``hidden_states[-1]`` of transformers is that state in 5.0, and the normed one since ModernBERT was rewritten there;
what goes into the norm is the same in all of them.
"""

import threading
from typing import Any

from torch import Tensor, nn

from extract.errors import ExtractError

_NORM = "final_norm"
_one_at_a_time = threading.Lock()


def state_before_norm(text_model: nn.Module, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """The state of the first token ([CLS]) after the last layer, before the last norm.

    Args:
        text_model: a ModernBertModel of transformers, 5.0 or later.
        input_ids: int64 (n, length), on the model's device.
        attention_mask: (n, length), 0 where a sentence has been filled up.

    Returns:
        (n, width), in the type that the model computes in.

    Raises:
        ExtractError: a model without such a norm.
    """
    norm = getattr(text_model, _NORM, None)
    if not isinstance(norm, nn.Module):
        raise ExtractError(f"a text encoder without {_NORM}, which ModernBERT has: use the weights of a PE-AV model")
    entered: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        entered.append(inputs[0])

    with _one_at_a_time:  # what another thread sends through the norm is not ours
        handle = norm.register_forward_pre_hook(keep)
        try:
            text_model(input_ids=input_ids, attention_mask=attention_mask)
        finally:
            handle.remove()
    (states,) = entered
    return states.reshape(*input_ids.shape, -1)[:, 0]
