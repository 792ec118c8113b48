"""The state before ModernBERT's last norm, as transformers 5.0 and later ones give or do not give it."""

import copy

import pytest
import torch
from torch import Tensor, nn
from transformers import ModernBertConfig, ModernBertModel
from transformers.modeling_outputs import BaseModelOutput

from extract import ExtractError
from extract.backbones.pe_av.text_state import state_before_norm


class Reporting(nn.Module):
    """A ModernBERT whose last entry of ``hidden_states`` is before the norm (5.0) or after it (since)."""

    def __init__(self, model: ModernBertModel, *, normed: bool) -> None:
        super().__init__()
        self.model, self.final_norm, self.normed = model, model.final_norm, normed

    def forward(self, **inputs: Tensor) -> BaseModelOutput:
        raw: list[Tensor] = []
        handle = self.final_norm.register_forward_pre_hook(lambda module, entered: raw.append(entered[0]))
        try:
            normed = self.model(**inputs).last_hidden_state
        finally:
            handle.remove()
        return BaseModelOutput(last_hidden_state=normed, hidden_states=(normed if self.normed else raw[0],))


@pytest.fixture(scope="module")
def model() -> ModernBertModel:
    torch.manual_seed(0)
    config = ModernBertConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=2,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2, local_attention=8,
    )  # fmt: skip
    found = ModernBertModel(config).eval()
    for weights in found.parameters():
        nn.init.normal_(weights, 0.3 if weights.ndim == 1 else 0, 0.3)  # a norm that changes what it is given
    return found


@pytest.fixture(scope="module")
def sentences() -> tuple[Tensor, Tensor]:
    ids = torch.randint(3, 50, (3, 12), generator=torch.Generator().manual_seed(1))
    ids[:, 0] = 1
    mask = torch.ones_like(ids)
    mask[1, 5:] = ids[1, 5:] = 0
    return ids, mask


def expected(model: ModernBertModel, ids: Tensor, mask: Tensor) -> Tensor:
    without = copy.deepcopy(model)
    without.final_norm = nn.Identity()
    state: Tensor = without(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
    return state


@pytest.mark.parametrize("normed", [False, True])
def test_whatever_hidden_states_hold(model: ModernBertModel, sentences: tuple[Tensor, Tensor], *, normed: bool) -> None:
    ids, mask = sentences
    version = Reporting(model, normed=normed)
    with torch.inference_mode():
        found = state_before_norm(version, ids, mask)
        output = version(input_ids=ids, attention_mask=mask)
        torch.testing.assert_close(found, expected(model, ids, mask), rtol=0, atol=0)
    assert torch.equal(output.hidden_states[-1][:, 0], found) is not normed


def test_of_the_version_that_is_installed(model: ModernBertModel, sentences: tuple[Tensor, Tensor]) -> None:
    with torch.inference_mode():
        found = state_before_norm(model, *sentences)
        torch.testing.assert_close(found, expected(model, *sentences), rtol=0, atol=0)
        normed = model(input_ids=sentences[0], attention_mask=sentences[1]).last_hidden_state[:, 0]
        torch.testing.assert_close(model.final_norm(found), normed, rtol=0, atol=0)
    assert (normed - found).abs().max() > 0.1


def test_no_hook_is_left(model: ModernBertModel, sentences: tuple[Tensor, Tensor]) -> None:
    state_before_norm(model, *sentences)
    assert not model.final_norm._forward_pre_hooks
    with pytest.raises((RuntimeError, IndexError, ValueError)):
        state_before_norm(model, sentences[0], torch.ones(3, 5))
    assert not model.final_norm._forward_pre_hooks


def test_another_model(sentences: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(ExtractError, match="a text encoder without final_norm"):
        state_before_norm(nn.Linear(2, 2), *sentences)
