"""The trained models for the cells that plug a student's function in; never trains one itself."""

from minimind_lite import recipe
from minimind_lite.checkpoint import load_pretrained
from minimind_lite.model import Transformer
from minimind_lite.tokenizer import Tokenizer


class NotTrained(FileNotFoundError):
    """There is no trained model on this machine yet; Jupyter shows the sentence and nothing else."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def base_model() -> tuple[Transformer, Tokenizer]:
    """The pretrained model of the preset, which continues text. Raises NotTrained."""
    return load(recipe.pretrain_directory())


def chat_model() -> tuple[Transformer, Tokenizer]:
    """The fine-tuned model of the preset, which answers. Raises NotTrained."""
    return load(recipe.sft_directory())


def load(directory) -> tuple[Transformer, Tokenizer]:
    if not (directory / "model" / "config.json").is_file():
        raise NotTrained(
            "Your function is checked, but there is no trained model here to plug it into. Run `make "
            "models` in the repository's folder once (about ten minutes), then this cell again."
        )
    return load_pretrained(directory / "model")
