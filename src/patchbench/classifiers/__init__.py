"""What turns embeddings into patch logits, one patch classifier a file.

A module's ``Classifier`` takes its settings and the keywords ``seed`` and ``threads``, says with
``uses`` what it works on, and has ``logits``, ``state`` and ``restore``:

* ``"embeddings"``: ``fit`` gets float32 embeddings and labels of train and val patches. They are
  copies, which it may overwrite. ``bytes_per_value`` says what a fit holds for each value of the
  train matrix, that value and every copy included; the stage draws fewer patches accordingly.
* ``"nothing"``: ``fit`` gets labels, and embeddings without columns. Runs with one encoder only.
* ``"head"``: ``adopt(weights, bias)`` takes the linear head that came out of the encoder's own
  training, in place of ``fit``. Runs with the encoders that have one.

A class without a train patch gets logits that never win.
"""
