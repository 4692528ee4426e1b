"""The compiled step: many updates, or many evaluated batches, to one call.

Python costs more than the arithmetic of a small network, so the loop over steps is inside the
compiled call, and the batch is gathered there too.
"""

import copy
import functools

import keras
import tensorflow as tf
from keras import tree

from deepapps.keras_internals import layers_of
from deepapps.metrics.outputs import masked, to_rank, with_mask
from deepapps.networks.augmentation import on_pairs
from deepapps.training.filler import without_filler
from deepapps.training.scheduling import ScheduledCall


class Step:
    """What happens to one batch, compiled.

    The loss of an update is the mean over all examples (or tokens) of non-zero weight, over all
    replicas and all accumulated batches; so any division of a global batch gives the same update.

    Args:
        model, optimizer: Made and built in the scope of the strategy.
        loss: What `per_example` returns.
        metrics: Keras metrics; the first is a `keras.metrics.Mean` that follows the loss.
        workers: The `Workers` of the strategy.
        augmentation: What `Task.augmentation` returns. Runs outside XLA.
        class_weight: `{class index: weight}` for integer targets, or None.
        jit: Whether XLA compiles the step.
        is_masked: Whether the loss hides some of the steps or examples, by a mask of the outputs.
        has_whole_batches: Whether the loss or a metric takes a batch as a whole, and must not see
            the examples that fill one up. Not with XLA.
    """

    def __init__(
        self,
        model,
        optimizer,
        loss,
        metrics,
        workers,
        augmentation=None,
        class_weight=None,
        jit=False,
        is_masked=False,
        has_whole_batches=False,
    ):
        self.model, self.optimizer, self.loss, self.metrics = model, optimizer, loss, metrics
        self.workers, self.strategy, self.class_weight = workers, workers.strategy, class_weight
        self.augmentation, self._jit = augmentation, jit
        self.is_masked, self.has_whole_batches = is_masked, has_whole_batches

    def with_metrics(self, metrics):
        """The same with other metrics."""
        step = copy.copy(self)
        step.metrics = metrics
        return step

    def training_call(self, feed):
        """Compiles `call(block, start, updates, accumulate)`, which does that many updates, of
        `accumulate` batches each, from batch `start`. It returns the index of the first update
        whose loss is not finite, or -1.
        """
        if self.workers.is_asynchronous:
            return ScheduledCall(self, lambda step: step._training_call(feed))
        return self._training_call(feed)

    def _training_call(self, feed):
        update = self._update_of(feed)

        def call(block, start, updates, accumulate):
            def one_update(index, first_bad):
                first = start + index * accumulate
                elements = [feed.element(block, first + batch) for batch in range(accumulate)]
                losses = self.strategy.run(update, args=(elements,))
                loss = self.strategy.experimental_local_results(losses)[0]
                bad = tf.logical_and(first_bad < 0, tf.logical_not(tf.math.is_finite(loss)))
                return index + 1, tf.where(bad, index, first_bad)

            return tf.while_loop(lambda index, _: index < updates, one_update, (0, -1))[1]

        return self._compiled(call, feed, self.augmentation is None)

    def evaluation_call(self, feed):
        """Compiles `call(block, start, steps)`, which adds that many batches to the metrics."""
        if self.workers.is_asynchronous:
            return ScheduledCall(self, lambda step: step._evaluation_call(feed))
        return self._evaluation_call(feed)

    def _evaluation_call(self, feed):
        def measure(batch):
            inputs, targets, weights = batch
            self.measure(targets, self.model(inputs, training=False), weights, inputs)

        measure = self._with_load(lambda element: feed.load(self._slice(element)), measure, feed)

        def call(block, start, steps):
            def one_batch(index):
                self.strategy.run(measure, args=(feed.element(block, index),))
                return index + 1

            tf.while_loop(lambda index: index < start + steps, one_batch, (start,))

        return self._compiled(call, feed)

    def measure(self, targets, outputs, weights, inputs=()):
        """Adds the loss and the metrics of outputs to `metrics`."""
        self._measure(*self._losses(targets, outputs, weights, inputs))

    def _update_of(self, feed):
        """The update of one replica from its elements; augmentation stays outside XLA."""

        def load(elements):
            return [self._weighted(*feed.load(self._slice(element))) for element in elements]

        update = functools.partial(
            self._update, examples=feed.batch_size // self.strategy.num_replicas_in_sync
        )
        if self.augmentation is None:
            return self._with_load(load, update, feed)
        update, augment = self._jitted(update), on_pairs(self.augmentation)
        return lambda elements: update(
            [(*augment(*pair), weights) for *pair, weights in load(elements)]
        )

    def _with_load(self, load, function, feed):
        """`function(load(elements))`, where `load` stays outside of XLA if that cannot compile
        it.
        """
        if feed.is_xla:
            return self._jitted(lambda elements: function(load(elements)))
        function = self._jitted(function)
        return lambda elements: function(load(elements))

    def _compiled(self, call, feed, steps_are_xla=True):
        """The call, compiled: by XLA as a whole where it holds nothing that XLA leaves to
        TensorFlow.
        """
        whole = (
            self._jit and steps_are_xla and feed.is_xla and self.strategy.num_replicas_in_sync == 1
        )
        # to rewrite the code would take AutoGraph two seconds
        return tf.function(call, jit_compile=whole or None, autograph=False)

    def _jitted(self, function):
        """The function, compiled by XLA where it is asked to."""
        return tf.function(function, jit_compile=True, autograph=False) if self._jit else function

    def _update(self, batches, examples):
        """One update from batches of `examples` each, which all replicas do together.

        Several replicas sum all they have in one message, the number of their examples included. So
        they divide
        first by what is the same on each: the number with the padding.
        """
        variables, alone = self.model.trainable_variables, self.strategy.num_replicas_in_sync == 1
        # a mask on the outputs is known only after the forward pass
        is_counted = alone and not self.is_masked
        size = _count if is_counted else functools.partial(_room, examples=examples)
        whole = tf.add_n([size(weights) for *_, weights in batches])
        parts = [self._gradients(batch, whole, variables) for batch in batches]
        parts = (
            parts[0] if len(parts) == 1 else [_add(tensors) for tensors in zip(*parts, strict=True)]
        )
        if not alone:
            parts = _over_replicas(parts, [(), (), *(variable.shape for variable in variables)])
        share, *parts = parts
        loss, *gradients = parts if is_counted else [_divided(part, share) for part in parts]
        self.optimizer.apply(_of_one_dtype(gradients), variables)
        return loss

    def _gradients(self, batch, whole, variables):
        """This batch's share of the examples, part of the loss, and parts of the gradients, where
        `whole` examples make the whole.
        """
        inputs, targets, weights = batch
        with tf.GradientTape() as tape:
            outputs = self.model(inputs, training=True)
            measured = self._losses(targets, outputs, weights, inputs)
            *_, losses, weights = measured
            share = tf.math.divide_no_nan(_count(weights), whole)
            loss = tf.math.divide_no_nan(tf.reduce_sum(losses * weights), whole)
            loss += share * self._penalty(loss.dtype)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, [variable.value for variable in variables])
        self._measure(*measured)
        return [share, loss, *map(self._whole_rows, gradients)]

    def _whole_rows(self, gradient):
        """A gradient; of an embedding, each row once, since Keras clips and squares the parts of
        a row one by one.
        """
        if not isinstance(gradient, tf.IndexedSlices):
            return gradient
        # XLA has no `unique`, and replicas must have the same rows
        if self._jit or self.strategy.num_replicas_in_sync > 1:
            return tf.convert_to_tensor(gradient)
        rows, places = tf.unique(gradient.indices)
        values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
        return tf.IndexedSlices(values, rows, gradient.dense_shape)

    def _losses(self, targets, outputs, weights, inputs):
        """`(targets, outputs, weights, losses, weights of the losses)`: one loss for each weight,
        which is 0 where a mask hides it; further axes are averaged.
        """
        if self.has_whole_batches:
            batch = without_filler((targets, outputs, inputs, weights))
            targets, outputs, inputs, weights = batch
        losses, mask = self.loss(targets, outputs, inputs)
        losses, counts = tf.cast(losses, "float32"), masked(weights, mask)
        losses = tf.reduce_mean(losses, axis=list(range(counts.shape.rank, losses.shape.rank)))
        losses = to_rank(losses, counts) if losses.shape.rank else losses
        return targets, outputs, weights, losses, counts

    def _penalty(self, dtype):
        """The regularization losses of the layers."""
        return (
            tf.add_n([tf.cast(loss, dtype) for loss in self.model.losses])
            if self.model.losses
            else 0.0
        )

    def _measure(self, targets, outputs, weights, losses, counts):
        """Adds a batch to the metrics; the padding, of weight 0, stays out."""
        mean, *metrics = self.metrics
        mean.update_state(losses * counts + self._penalty("float32"), _valid(counts))
        outputs, valid = with_mask(outputs, _valid(weights))
        for metric in metrics:
            metric.update_state(targets, outputs, sample_weight=valid)

    def _weighted(self, inputs, targets, weights):
        if self.class_weight is None:
            return inputs, targets, weights
        table = [self.class_weight.get(label, 1.0) for label in range(max(self.class_weight) + 1)]
        labels = tf.cast(tf.reshape(targets, [-1]), "int32")
        known = labels < len(table)
        factors = tf.gather(tf.constant(table, "float32"), tf.where(known, labels, 0))
        factors = to_rank(tf.where(known, factors, 1.0), weights)
        return inputs, targets, weights * factors

    def _slice(self, element):
        """The part of a batch that is this replica's."""
        return tree.map_structure(self.workers.slice, element)


def jit_pays(model):
    """Whether XLA was measured to speed up training such a network on CPU: dense layers only.

    The classic 784-128-10 program gains a third; convolutions take twice the time, since they lose
    oneDNN's kernels, and recurrences three times. Layers unknown here may not compile at all.
    """
    layers = keras.layers
    measured = (
        layers.InputLayer,
        layers.Rescaling,
        layers.Flatten,
        layers.Reshape,
        layers.Dense,
        layers.Activation,
        layers.ReLU,
        layers.Softmax,
        layers.Dropout,
        layers.LayerNormalization,
        layers.Add,
        layers.Concatenate,
    )
    return all(type(layer) in measured for layer in layers_of(model))


def figures_of(metrics):
    """The results of metrics, `{name: float}`, or a list of floats where there is one for each
    class.
    """
    results = [(metric.name, metric.result()) for metric in metrics]
    named = [value if isinstance(value, dict) else {name: value} for name, value in results]
    return {
        name: keras.ops.convert_to_numpy(value).tolist()
        for group in named
        for name, value in group.items()
    }


def _valid(weights):
    return tf.cast(weights != 0, "float32")


def _count(weights):
    """Number of examples, or tokens, that the loss is averaged over."""
    return tf.cast(tf.math.count_nonzero(weights), "float32")


def _room(weights, examples):
    """The number that so many examples would count, were none padding."""
    return tf.cast(examples * tf.reduce_prod(tf.shape(weights)[1:]), "float32")


def _over_replicas(parts, shapes):
    """The parts of all replicas, summed. All of a dtype go in one message. None, the gradient of an
    unused variable, stays None.
    """
    reduce = tf.distribute.get_replica_context().all_reduce
    # the shape of some gradients is not known when the step is traced
    sums = [
        None if part is None else tf.ensure_shape(part, shape)
        for part, shape in zip(parts, shapes, strict=True)
    ]
    for dtype in {part.dtype: None for part in sums if part is not None}:
        places = [i for i, part in enumerate(sums) if part is not None and part.dtype == dtype]
        for place, total in zip(places, reduce("SUM", [sums[i] for i in places]), strict=True):
            sums[place] = total
    return sums


def _divided(tensor, share):
    """A part of the update divided by the share of the examples that it is of."""
    if tensor is None:
        return None
    if isinstance(tensor, tf.IndexedSlices):
        return tf.IndexedSlices(_divided(tensor.values, share), tensor.indices, tensor.dense_shape)
    return tf.math.divide_no_nan(tensor, tf.cast(share, tensor.dtype))


def _of_one_dtype(gradients):
    """The gradients in the widest of their dtypes: Keras takes the norm of all together only
    then.
    """
    dtypes = {gradient.dtype.name for gradient in gradients if gradient is not None}
    if len(dtypes) < 2:
        return gradients
    widest = keras.backend.result_type(*dtypes)
    return [None if gradient is None else tf.cast(gradient, widest) for gradient in gradients]


def _add(tensors):
    """Sum of the same gradient over accumulated batches."""
    return (
        None
        if tensors[0] is None
        else tf.add_n([tf.convert_to_tensor(tensor) for tensor in tensors])
    )
