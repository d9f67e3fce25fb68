"""What a column holds: images, tensors, and the words a schema prints."""

# Before any module in here. pyarrow's import ends with that of types.registry, which waits for the modules of this
# folder that another thread is importing; so no thread may begin with one of them and then wait for pyarrow.
import pyarrow as pa  # noqa: F401 - imported for what it does
