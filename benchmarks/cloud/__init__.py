"""A model of AWS: as much as the cost of a deploy depends on, in one process, on its own clock.

The state machine's own definition is walked, the real handlers and their adapters do the work, and what they ask of AWS
is answered and counted here. What cannot be counted is assumed, in ``assumed.py`` and nowhere else.

What the tests have an engine for is that engine: the items, conditions and indexes of the batch table
(``tests.fakes.memory_table``), CloudFront's quotas (``cloudfront_quota``), the bucket that is listed (``bucket``), and
the environment of each function (``tests.statemachine.functions``). The rest is a model:

- ``dynamodb`` reads the adapter's requests and meters them. Without the adapter, the time that it takes to write and
  read DynamoDB's notation would be missing from the handlers' processor time.
- ``states``, ``data`` and ``history`` stand in for moto's interpreter, on which the state machine's tests run: that has
  a thread for each execution, and its time is the machine's and whatever was waited, so that changes which come a
  hundredth of a second apart would not gather as they do. It also takes 4 ms of processor time for an execution of
  three states, and the walk 0.2 ms: 41 seconds, and 2, for a deploy of 10,000 objects.
  ``tests/unit/test_benchmarks.py`` holds the states and the history's events against it.
- ``cloudfront`` completes invalidations on the model's clock and meters paths; the tests' are moto's or have faults.
- ``services``, ``functions``, ``lambda_log``, ``account``, ``clock`` and ``usage`` count what nothing else counts.
"""
