"""The DCGAN in Keras as articles write it: train_on_batch on the critic, then on both with the critic frozen.

    python generators_keras.py SETTING      (a line of JSON; see generators_setting.py)

Needs no more than keras, one of its back ends (tensorflow unless KERAS_BACKEND says another) and numpy.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from generators_setting import Setting, Turns

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def use_threads(count: int) -> None:
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(count)
        tensorflow.config.threading.set_inter_op_parallelism_threads(count)


def networks(setting: Setting) -> tuple[Any, Any, Any]:
    """Generator, critic, and the one on top of the other."""
    import keras
    from keras import layers

    def adam() -> Any:
        return keras.optimizers.Adam(setting.rate, beta_1=setting.beta1)

    critic = keras.Sequential([keras.Input((setting.size, setting.size, 3))], name="critic")
    for _ in range(setting.halvings):
        critic.add(layers.Conv2D(setting.critic_width, 4, strides=2, padding="same"))
        critic.add(layers.LeakyReLU(negative_slope=setting.slope))
    critic.add(layers.Flatten())
    critic.add(layers.Dropout(setting.dropout))
    critic.add(layers.Dense(1, activation="sigmoid"))
    critic.compile(loss="binary_crossentropy", optimizer=adam(), metrics=["accuracy"])

    first, *widths = setting.generator_widths
    generator = keras.Sequential([keras.Input((setting.noise,))], name="generator")
    generator.add(layers.Dense(16 * first))
    generator.add(layers.LeakyReLU(negative_slope=setting.slope))
    generator.add(layers.Reshape((4, 4, first)))
    for width in widths:
        generator.add(layers.Conv2DTranspose(width, 4, strides=2, padding="same"))
        generator.add(layers.LeakyReLU(negative_slope=setting.slope))
    generator.add(layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh"))

    critic.trainable = False
    both = keras.Sequential([generator, critic])
    both.compile(loss="binary_crossentropy", optimizer=adam())
    return generator, critic, both


def main() -> None:
    setting = Setting.parse(sys.argv[1])
    use_threads(setting.threads)
    generator, critic, both = networks(setting)
    draws = np.random.default_rng(setting.seed)
    images = np.load(setting.pixels).transpose(0, 2, 3, 1).astype(np.float32) / 127.5 - 1

    def noise(count: int) -> Any:
        return draws.standard_normal((count, setting.noise), dtype=np.float32)

    def step() -> None:
        critic.trainable = True  # Keras 3 asks at the first call, not at compile()
        real = images[draws.integers(0, len(images), setting.real)]
        critic.train_on_batch(real, np.ones((setting.real, 1), np.float32))
        fake = generator.predict(noise(setting.real), batch_size=setting.real, verbose=0)
        critic.train_on_batch(fake, np.zeros((setting.real, 1), np.float32))
        critic.trainable = False
        both.train_on_batch(noise(setting.generated), np.ones((setting.generated, 1), np.float32))

    def sample(count: int) -> Any:
        drawn = generator.predict(noise(count), batch_size=64, verbose=0)
        return ((drawn + 1) * 127.5).round().astype(np.uint8)

    before = [weight.numpy().copy() for weight in critic.weights]
    step()
    between = [weight.numpy().copy() for weight in critic.weights]
    both.train_on_batch(noise(setting.generated), np.ones((setting.generated, 1), np.float32))
    after = [weight.numpy() for weight in critic.weights]
    if all(map(np.array_equal, before, between)) or not all(map(np.array_equal, between, after)):
        raise SystemExit("the critic must learn in its own turn, and in no other")
    Turns(sample, (generator.count_params(), critic.count_params())).train(step)


if __name__ == "__main__":
    main()
