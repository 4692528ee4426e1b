"""Networks: functions from settings to a `keras.Model`. They know nothing of data, loss or
strategy.
"""

from deepapps.registry import Registry

IMAGE_NETWORKS = Registry(
    "network",
    {
        "cnn": "deepapps.networks.images:cnn",
        "mlp": "deepapps.networks.images:mlp",
        "lenet": "deepapps.networks.images:lenet",
        "alexnet": "deepapps.networks.images:alexnet",
        "vgg": "deepapps.networks.images:vgg",
        "googlenet": "deepapps.networks.images:googlenet",
        "resnet": "deepapps.networks.images:resnet",
    },
)
_SEQUENCE = ("attention-lstm", "bilstm", "lstm", "gru", "rnn", "transformer", "cnn")
SEQUENCE_NETWORKS = Registry(
    "network", dict.fromkeys(_SEQUENCE, "deepapps.networks.sequences:sequence_network")
)
TRANSLATION_NETWORKS = Registry(
    "network",
    {
        "attention-lstm": "deepapps.networks.translation:attention_lstm",
        "transformer": "deepapps.networks.translation:transformer",
    },
)
AUGMENTATIONS = Registry(
    "augmentation",
    {
        "light": "deepapps.networks.augmentation:light",
        "digits": "deepapps.networks.augmentation:digits",
        "photos": "deepapps.networks.augmentation:photos",
    },
)
