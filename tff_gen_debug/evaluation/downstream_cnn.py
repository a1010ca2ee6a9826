"""The CNN among the downstream classifiers."""

import numpy as np

_HELD_OUT = 10  # One image of so many.
_EPOCH_STEPS = 100  # At least; small sets are passed over repeatedly.
_DROPOUT = 0.5
_PREDICTION_BATCH = 512


def fit(images, labels, rng, *, epochs, batch_size, learning_rate, patience):
  """Trains the network; see `downstream.train`.

  Args:
    images: float32 `[n, height, width, channels]`, n >= 1.
    labels: Integers `[n]` from 0, each with an image.
    rng: A `np.random.Generator`.
    epochs: As for `downstream.train`, and so on.
    batch_size: Images a step.
    learning_rate: Adam's.
    patience: Epochs without gain.

  Returns:
    From images to their logits.
  """
  model = _build_cnn(images.shape[1:], int(labels.max()) + 1, rng)
  step = _build_step(model, learning_rate)
  held_out, rest = np.split(
    rng.permutation(len(images)), [len(images) // _HELD_OUT]
  )
  steps_of_pass = -(-len(rest) // batch_size)
  best_accuracy, best_weights, without_gain = -1.0, None, 0
  for _ in range(epochs):
    for _ in range(-(-_EPOCH_STEPS // steps_of_pass)):
      rest = rng.permutation(rest)
      for start in range(0, len(rest), batch_size):
        batch = rest[start : start + batch_size]
        step(images[batch], labels[batch], rng.integers(2**31, size=2))
    if len(held_out) == 0:
      continue
    predicted = _logits(model, images[held_out]).argmax(axis=1)
    accuracy = np.mean(predicted == labels[held_out])
    without_gain = 0 if accuracy > best_accuracy else without_gain + 1
    # Of equal ones the later, which has seen more.
    if accuracy >= best_accuracy:
      best_accuracy, best_weights = accuracy, model.get_weights()
    if without_gain == patience:
      break
  if best_weights is not None:
    model.set_weights(best_weights)
  return lambda images: _logits(model, images)


def _build_cnn(image_shape, num_outputs, rng):
  import tensorflow as tf

  def options(name):
    # Keras counts nameless layers and would go on counting the caller's.
    seed = int(rng.integers(2**31))
    initializer = tf.keras.initializers.GlorotUniform(seed)
    return {"name": name, "kernel_initializer": initializer}

  layers = tf.keras.layers
  return tf.keras.Sequential(
    [
      layers.InputLayer(image_shape, name="images"),
      layers.Conv2D(32, 3, activation="relu", **options("conv_1")),
      # Padding leaves something of eight pixels: 8 - 6 - 3 - 1 - 1.
      layers.MaxPooling2D(padding="same", name="pool_1"),
      layers.Conv2D(64, 3, activation="relu", **options("conv_2")),
      layers.MaxPooling2D(padding="same", name="pool_2"),
      layers.Flatten(name="flatten"),
      layers.Dense(128, activation="relu", **options("hidden")),
      layers.Dense(num_outputs, **options("logits")),
    ],
    name="downstream_cnn",
  )


def _build_step(model, learning_rate):
  """A function of a batch's images, labels and seed that trains `model`."""
  import tensorflow as tf

  variables = model.trainable_variables
  optimizer = tf.keras.optimizers.Adam(learning_rate)
  optimizer.build(variables)

  @tf.function(
    input_signature=[
      tf.TensorSpec(model.input_shape, tf.float32),
      tf.TensorSpec((None,), tf.int64),
      tf.TensorSpec((2,), tf.int64),
    ]
  )
  def step(images, labels, seed):
    with tf.GradientTape() as tape:
      x = images
      for layer in model.layers[:-1]:
        x = layer(x)
      # A Keras layer of dropout would depend on the caller's global seed.
      x = tf.nn.experimental.stateless_dropout(x, _DROPOUT, seed)
      losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels, model.layers[-1](x)
      )
      loss = tf.reduce_mean(losses)
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

  return step


def _logits(model, images):
  """float32 `[n, classes]`, n >= 1."""
  starts = range(0, len(images), _PREDICTION_BATCH)
  logits = [model(images[i : i + _PREDICTION_BATCH]).numpy() for i in starts]
  return np.concatenate(logits)
