"""Places365: photographs of scenes, small, indoor or outdoor, as arrays.

Zhou, Lapedriza, Khosla, Oliva and Torralba, "Places: A 10 Million Image
Database for Scene Recognition" (2017): 1,803,460 photographs for training and
36,500 for validation, of 365 kinds of places. The rights to the pictures are
their owners'. Here they are 64 x 64, with the two classes that DataLens (Wang
et al., 2021, arXiv:2103.11109) tells apart.
"""

from typing import Optional, Sequence

import tensorflow as tf

from tff_gen_debug.datasets import hosted_database
from tff_gen_debug.datasets import idx_files
from tff_gen_debug.datasets import tfds_images

IMAGE_SIZE = tfds_images.IMAGE_SIZE

# What the labels mean, in their order.
CLASS_NAMES = ("indoor", "outdoor")
SPLITS = ("train", "validation")

_NUM_SCENES = 365

# The scenes with a 1 in IO_places365.txt of github.com/CSAILVision/places365 at
# commit 8a953ed5, by the names that TensorFlow Datasets has for them (there is
# a letter's directory before each of them in that file). The other 204 have a
# 2. Where it surprises (a balcony's inside is outdoors, a stable and a swimming
# hole are not), it is the authors' word.
_INDOOR = frozenset(
  """
  airplane_cabin airport_terminal alcove amusement_arcade aquarium arcade
  archaelogical_excavation archive arena/hockey arena/performance arena/rodeo
  art_gallery art_school art_studio artists_loft assembly_line atrium/public
  attic auditorium auto_factory auto_showroom bakery/shop ball_pit ballroom
  bank_vault banquet_hall bar basement basketball_court/indoor bathroom
  bazaar/indoor beauty_salon bedchamber bedroom beer_hall berth
  biology_laboratory bookstore booth/indoor bow_window/indoor bowling_alley
  boxing_ring burial_chamber bus_interior bus_station/indoor butchers_shop
  cafeteria candy_store car_interior catacomb chemistry_lab childs_room
  church/indoor classroom clean_room closet clothing_store cockpit coffee_shop
  computer_room conference_center conference_room corridor delicatessen
  department_store dining_hall dining_room discotheque dorm_room dressing_room
  drugstore elevator/door elevator_lobby elevator_shaft engine_room
  entrance_hall escalator/indoor fabric_store fastfood_restaurant
  flea_market/indoor florist_shop/indoor food_court galley garage/indoor
  general_store/indoor gift_shop greenhouse/indoor gymnasium/indoor
  hangar/indoor hardware_store home_office home_theater hospital_room
  hotel_room ice_cream_parlor ice_skating_rink/indoor jacuzzi/indoor jail_cell
  jewelry_shop kindergarden_classroom kitchen laundromat lecture_room
  legislative_chamber library/indoor living_room lobby locker_room
  market/indoor martial_arts_gym mezzanine movie_theater/indoor museum/indoor
  music_studio natural_history_museum nursery nursing_home office
  office_cubicles operating_room orchestra_pit pantry parking_garage/indoor
  pet_shop pharmacy physics_laboratory pizzeria playroom pub/indoor reception
  recreation_room repair_shop restaurant restaurant_kitchen sauna
  science_museum server_room shoe_shop shopping_mall/indoor shower stable
  stage/indoor staircase storage_room subway_station/platform supermarket
  sushi_bar swimming_hole swimming_pool/indoor television_room
  television_studio throne_room ticket_booth toyshop train_interior
  train_station/platform utility_room veterinarians_office waiting_room
  wet_bar youth_hostel
  """.split()
)


class Places365DownloadError(hosted_database.DownloadError):
  """Places365 is not on this machine and TensorFlow Datasets can't get it."""


class Places365FileError(hosted_database.DataFileError):
  """What TensorFlow Datasets has prepared of Places365 is damaged."""


_SCENES = tfds_images.PictureSet(
  title="Places365",
  name="places365_small",
  version="2.1.0",
  url="http://data.csail.mit.edu/places/places365/",
  files=(
    "train_256_places365standard.tar",
    "val_256.tar",
    "test_256.tar",
    "filelist_places365-standard.tar",
  ),
  page="http://data.csail.mit.edu/places/places365/",
  obstacle=(
    "It downloads all splits at once, 31 GB, and writes as much again: is there"
    " room for both?"
  ),
  download_error=Places365DownloadError,
  file_error=Places365FileError,
)


def load_arrays(
  *,
  split: str,
  data_dir: Optional[str] = None,
  limit: Optional[int] = None,
) -> idx_files.LabelledImages:
  """Loads scenes, each of them indoor or outdoor.

  Takes what TensorFlow Datasets has prepared as `places365_small` 2.1.0, and
  has it download (31 GB) and prepare that first if it must. The test set has no
  labels, so it can't be loaded here.

  Pictures of 256 x 256 pixels are averaged down. They come in the order of the
  prepared files, which is shuffled, and the same for everyone. A picture takes
  12 kB of memory: the training set 22 GB, so ask for fewer by `limit`.

  Args:
    split: "train" or "validation".
    data_dir: TensorFlow Datasets' directory, `TFDS_DATA_DIR` in the environment
      or `~/tensorflow_datasets` if None.
    limit: How many pictures to stop at, at least 1; None for all.

  Returns:
    Images, uint8 `[n, 64, 64, 3]`, RGB, and labels, uint8 `[n]`: 0 indoor and 1
    outdoor. Both read-only.

  Raises:
    Places365DownloadError: If the data is not there and can't be had; the
      message says what to do.
    Places365FileError: If the data is there and damaged, or has other scenes.
    TypeError: If `limit` is neither an int nor None.
    ValueError: If `split` or `limit` is none of these.
  """
  tfds_images.check_choice("split", split, SPLITS)
  tfds_images.check_limit(limit)
  scenes = _SCENES.open(split, data_dir)
  names = scenes.info.features["label"].names
  if len(names) != _NUM_SCENES or not _INDOOR.issubset(names):
    raise scenes.failure("its scenes are not the 365 of Places365")
  labels = tf.constant(_labels(names), tf.int64)
  return scenes.arrays(
    lambda example: tf.gather(labels, example["label"]), limit
  )


def _labels(names: Sequence[str]) -> Sequence[int]:
  """The label of each scene, in the order of the names."""
  return [0 if name in _INDOOR else 1 for name in names]
