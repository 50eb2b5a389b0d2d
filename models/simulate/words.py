"""Word lists of the simulated shop: invented names, so that titles and searches read well."""

from typing import Final, NamedTuple


class Leaf(NamedTuple):
    """A leaf of the category tree and what one item of it is called."""

    department: str
    aisle: str
    name: str
    noun: str


_TREE: Final[dict[str, dict[str, str]]] = {
    "electronics": {
        "audio": "headphones:headphones speakers:speaker earbuds:earbuds turntables:turntable",
        "computing": "laptops:laptop keyboards:keyboard monitors:monitor tablets:tablet",
        "photo": "cameras:camera tripods:tripod lenses:lens",
    },
    "home": {
        "kitchen": "kettles:kettle pans:pan knives:knife toasters:toaster blenders:blender mugs:mug",
        "living": "lamps:lamp rugs:rug cushions:cushion shelves:shelf",
        "bedroom": "pillows:pillow duvets:duvet blankets:blanket",
    },
    "garden": {
        "tools": "secateurs:secateurs hoses:hose rakes:rake",
        "decor": "planters:planter lanterns:lantern benches:bench",
    },
    "fashion": {
        "women": "dresses:dress skirts:skirt blouses:blouse",
        "men": "shirts:shirt trousers:trousers ties:tie",
        "outerwear": "coats:coat jackets:jacket scarves:scarf",
        "shoes": "boots:boots sandals:sandals trainers:trainers",
    },
    "sport": {
        "outdoor": "tents:tent backpacks:backpack stoves:stove",
        "fitness": "dumbbells:dumbbell mats:mat leggings:leggings",
        "cycling": "helmets:helmet saddles:saddle pumps:pump",
    },
    "beauty": {
        "care": "shampoos:shampoo creams:cream soaps:soap",
        "scent": "perfumes:perfume candles:candle",
    },
    "food": {
        "drinks": "coffees:coffee teas:tea juices:juice",
        "sweets": "chocolates:chocolate biscuits:biscuits honeys:honey",
    },
    "kids": {
        "toys": "puzzles:puzzle games:game dolls:doll",
        "school": "satchels:satchel notebooks:notebook pens:pen",
    },
    "pets": {
        "dogs": "leashes:leash baskets:basket",
        "cats": "scratchers:scratcher feeders:feeder",
    },
}

LEAVES: Final[tuple[Leaf, ...]] = tuple(
    Leaf(department, aisle, *pair.split(":"))
    for department, aisles in _TREE.items()
    for aisle, leaves in aisles.items()
    for pair in leaves.split()
)

MODIFIERS: Final = ("", "travel", "studio", "junior", "heritage", "eco", "outdoor", "mini")
"""More leaves than nouns: ``travel kettles``."""

BRANDS: Final[tuple[str, ...]] = tuple(
    head + tail
    for tail in ("ora", "wick", "dale", "mont", "enne", "ska", "lund", "by")
    for head in ("Nor", "Val", "Kes", "Lum", "Ard", "Bel", "Tor", "Mir", "Sol", "Fen")
)

ADJECTIVES: Final = (
    "compact", "classic", "bright", "soft", "sturdy", "light", "silent", "warm", "modern", "rustic",
    "slim", "deluxe", "simple", "smart", "vintage", "bold", "fresh", "natural", "quick", "royal",
    "nordic", "urban", "wild", "pure",
)  # fmt: skip

COLOURS: Final = (
    "sage", "sand", "ivory", "slate", "amber", "navy", "coral", "moss", "plum", "copper", "pearl", "rust",
    "teal", "ochre", "graphite", "rose",
)  # fmt: skip

ORIGINS: Final = ("PT", "IT", "DE", "SE", "VN", "CN", "US", "MX", "TR", "IN")
PLATFORMS: Final = ("web", "android", "ios")
