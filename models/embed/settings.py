"""Settings of the embedding model: its shape, how it learns, and what bounds it."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.interest.terms import MAX_ITEM_TERMS
from schemas.catalog import MAX_VECTOR

Share = Annotated[float, Field(ge=0.0, lt=1.0)]


class IndexSettings(BaseModel):
    """How items near a user are searched on a processor; a GPU scores all. Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: Literal["auto", "exact", "hnsw"] = Field(
        "auto", description="every item is scored, or a graph is searched; auto goes by the number of items"
    )
    exact_up_to: int = Field(300_000, ge=0, description="under auto: most items that are all scored")
    precision: Literal["f32", "f16", "i8"] = Field(
        "f16", description="how a component of an item's vector is kept, in 4, 2 or 1 bytes"
    )
    connectivity: int = Field(
        16, ge=2, le=256, description="HNSW's M, links of an item in a layer of the graph"
    )
    expansion_add: int = Field(
        128, ge=1, description="HNSW's efConstruction, candidates when an item is linked"
    )
    expansion_search: int = Field(
        128,
        ge=1,
        description="HNSW's ef, candidates of a search, never fewer than asked for; 256 from a million items on",
    )
    threads: int = Field(1, ge=1, description="threads of one call on a graph")


class EmbedSettings(BaseModel):
    """Frozen; unknown keys are refused. The defaults were chosen on the last training sessions of Diginetica."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(
        False, description="whether an evaluation learns the model, and workers serve what a trainer learned"
    )
    serve_every: int = Field(
        4_096, ge=1, description="examples after which an evaluation serves what was learned since"
    )

    snapshot_s: float = Field(60.0, gt=0.0, description="seconds between two snapshots of the trainer")
    jury_share: Share = Field(
        0.05, description="share of the users that the trainer does not learn from, who judge new versions"
    )
    jury_examples: int = Field(
        4_096, ge=512, le=1 << 20, description="latest interactions of theirs that count"
    )

    encoder: Literal["gru", "transformer"] = Field("gru", description="what reads the history")
    dim: int = Field(64, ge=4, le=1_024, description="D, length of user and item vectors")
    layers: int = Field(1, ge=1, le=8, description="layers of the encoder")
    heads: int = Field(2, ge=1, le=16, description="attention heads of a transformer; divides dim")
    length: int = Field(20, ge=1, le=512, description="L, latest distinct items of the history that are read")
    n_terms: int = Field(16, ge=1, le=MAX_ITEM_TERMS, description="words that are kept of an item's text")
    given_dim: int = Field(
        0,
        ge=0,
        le=MAX_VECTOR,
        description="length of the vectors that the catalogue gives of items; 0: none are read",
    )
    sentence_encoder: str = Field(
        "",
        description="name or folder of a sentence-transformers model: the trainer encodes the title of items that "
        "come without a vector; empty: none",
    )

    temperature: float = Field(
        0.09, gt=0.0, le=10.0, description="cosines are divided by it before the softmax (NISER, 2019)"
    )
    n_negatives: int = Field(
        2_048,
        ge=1,
        le=1_000_000,
        description="items drawn uniformly as negatives of a batch; the softmax is full for no more items than that",
    )
    unseen_share: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.1,
        description="share of the items without a row of their own, others in each step, that negatives are drawn "
        "from; with more of them new items are found less",
    )
    kind_power: float = Field(
        0.5,
        ge=0.0,
        le=2.0,
        description="an example counts as the weight of its kind to this power; 0: all alike",
    )
    task_weight: float = Field(
        0.1,
        ge=0.0,
        le=10.0,
        description="what the other tasks, purchase and dwell, count beside the next item",
    )
    propagation: Share = Field(
        0.35,
        description="how far the vector of an item is drawn towards those of the items that follow it in sessions, "
        "once it is learned; 0: not at all",
    )
    learn_repeats: bool = Field(
        True, description="whether an interaction with the very item of the one before is an example"
    )

    batch_size: int = Field(
        512, ge=2, le=65_536, description="examples a step when fitting, and online when many wait"
    )
    online_batch: int = Field(
        128,
        ge=2,
        le=65_536,
        description="fresh examples a step at least when learning online, tested before they are learned",
    )
    precision: Literal["auto", "f32", "bf16"] = Field(
        "auto",
        description="of products in learning: half precision on a GPU, single elsewhere, or always one",
    )
    rate: float = Field(0.01, gt=0.0, le=1.0, description="highest step size of Adam when fitting")
    online_rate: float = Field(
        5e-3,
        gt=0.0,
        le=1.0,
        description="step size of Adam when learning online; larger steps take it by the root of their size",
    )
    weight_decay: float = Field(1e-5, ge=0.0, le=1.0, description="decoupled weight decay (AdamW, ICLR 2019)")
    clip: float = Field(5.0, gt=0.0, le=1_000.0, description="largest norm of a step's gradient")
    dropout: Share = Field(
        0.2, description="share of what the encoder reads and gives that is dropped in training"
    )
    id_dropout: Share = Field(
        0.1, description="share of items that are known by their attributes alone in a training step"
    )
    attribute_dropout: Share = Field(
        0.1, description="share of items whose attributes are hidden in a training step"
    )

    min_count: int = Field(
        2, ge=1, le=1_000, description="interactions after which an item gets a row of its own"
    )
    max_rows: int = Field(1 << 20, ge=16, le=1 << 28, description="most items with a row of their own")
    max_users: int = Field(
        65_536, ge=1, le=1 << 26, description="users whose past is kept for making examples"
    )
    replay: int = Field(
        1 << 19, ge=16, le=1 << 28, description="latest examples kept for learning them again"
    )
    replay_share: Share = Field(0.5, description="share of an online step's examples that are replayed ones")

    epochs: int = Field(6, ge=1, le=1_000, description="passes over the replay buffer when fitting, at most")
    patience: int = Field(2, ge=1, le=1_000, description="epochs without a better MRR@20 until fitting stops")
    held_out: Share = Field(0.02, description="newest share of the buffer that decides when fitting stops")
    warm_up: Share = Field(
        0.05, description="share of fitting over which the step size rises; it then falls as a cosine"
    )
    recency: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="half-life, as a share of the buffer, of an example's chance to be read in an epoch; 0: all are",
    )
    threads: int = Field(
        1,
        ge=1,
        le=256,
        description="of the model on a CPU; more pay for the trainer alone, on cores that nothing else wants",
    )
    index: IndexSettings = IndexSettings()
    seed: int = Field(1, ge=0, description="of first weights, dropout, negatives and the order of examples")

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.encoder == "transformer" and self.dim % self.heads:
            raise ValueError(
                f"dim is {self.dim}, which {self.heads} heads do not divide: make it a multiple of heads"
            )
        return self
