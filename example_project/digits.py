"""The handwritten digits that come with scikit-learn: loading them, and the network."""

from __future__ import annotations

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

BRIGHTEST = 16


def load() -> tuple[np.ndarray, ...]:
    """Return images of shape (n, 8, 8, 1) in [0, 1] and labels 0 to 9, in three splits."""
    images, labels = load_digits(return_X_y=True)
    images = scaled(images).reshape(-1, 8, 8, 1)
    X_rest, X_test, y_rest, y_test = train_test_split(
        images, labels, test_size=360, stratify=labels, random_state=0
    )
    X_train, X_val, y_train, y_val = train_test_split(
        X_rest, y_rest, test_size=240, stratify=y_rest, random_state=0
    )
    return X_train, X_val, X_test, y_train, y_val, y_test


def scaled(pixels: np.ndarray) -> np.ndarray:
    """Return pixels of 0 to 16 as numbers of 0 to 1."""
    return (np.asarray(pixels) / BRIGHTEST).astype("float32")


def convnet(filters: int, dropout: float) -> keras.Model:
    """Return a small convolutional network with a softmax over ten digits."""
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(filters, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(2 * filters, 3, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
