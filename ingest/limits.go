package ingest

// Limits bound what a file may make us hold or do. The zero value of a field means its default.
type Limits struct {
	RowsMax     int64 // rows of a file; 0 is no limit
	BytesMax    int64 // unpacked bytes of a file; 0 is no limit
	RowBytesMax int   // bytes of one row; default 1 MiB
	// FieldBytesMax bounds one cell as it stands in the file; a row with a longer one is rejected (1605). Default 64
	// KiB.
	FieldBytesMax int
	ColumnsMax    int   // columns of a header; default 4,096
	ChunkBytes    int   // target size of a chunk; default 1 MiB, never above RowBytesMax
	PartBytes     int64 // target size of a part; default 8 MiB; always a whole number of chunks
	UnpackedMax   int64 // bytes out of a gzip or zstd stream; 0 is no limit
	UnpackRatio   int64 // most bytes out for one byte in, counted after the first MiB; default 200
}

// withDefaults fills in what the zero value leaves open.
func (l Limits) withDefaults() Limits {
	orElse(&l.RowBytesMax, 1<<20)
	orElse(&l.FieldBytesMax, 64<<10)
	orElse(&l.ColumnsMax, 4096)
	orElse(&l.ChunkBytes, 1<<20)
	orElse(&l.PartBytes, 8<<20)
	orElse(&l.UnpackRatio, 200)
	// Places in a chunk are kept as int32.
	l.RowBytesMax = min(l.RowBytesMax, 1<<30)
	// A chunk of at most RowBytesMax makes every row inside it short enough without looking at it.
	l.ChunkBytes = min(l.ChunkBytes, l.RowBytesMax)
	return l
}

func orElse[T int | int64](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}
