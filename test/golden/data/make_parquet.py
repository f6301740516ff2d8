# Makes the Parquet files of this folder with pyarrow 26: python make_parquet.py. Not part of the tests; they read its results.
import gzip

import pyarrow as pa
import pyarrow.parquet as pq

texts = [f"Text {i}: naïve café — 日本語 🦜\nsecond line" for i in range(10)]
other = pa.array(range(10), pa.int64())


def table(text, name="text"):
    return pa.table({"id": other, name: text, "score": pa.array([i / 4 for i in range(10)], pa.float64())})


string = pa.array(texts, pa.string())
for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
    pq.write_table(table(string), f"string-{codec}.parquet", compression=codec, row_group_size=4)
pq.write_table(table(pa.array(texts, pa.large_string())), "large_string.parquet", row_group_size=3)
pq.write_table(table(string), "v2-delta.parquet", data_page_version="2.0", use_dictionary=False,
               column_encoding={"text": "DELTA_LENGTH_BYTE_ARRAY", "id": "PLAIN", "score": "PLAIN"})
with open("string-snappy.parquet", "rb") as file, gzip.GzipFile("string-snappy.parquet.gz", "wb", mtime=0) as packed:
    packed.write(file.read())
pq.write_table(table(pa.array(texts[:6] + [None] + texts[7:], pa.string())), "null-in-row-7.parquet", row_group_size=4)
pq.write_table(table(pa.array([[t] for t in texts])), "nested.parquet")
data = b"".join(t.encode() for t in texts[:9]) + b"caf\xe9"
offsets = [0]
for t in texts[:9]:
    offsets.append(offsets[-1] + len(t.encode()))
offsets.append(len(data))
latin1 = pa.StringArray.from_buffers(10, pa.py_buffer(pa.array(offsets, pa.int32()).buffers()[1]), pa.py_buffer(data))
pq.write_table(table(latin1), "latin1-in-row-10.parquet", row_group_size=4)
pq.write_table(table(string).slice(0, 0), "no-rows.parquet")
