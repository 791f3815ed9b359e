package ingest

// slack is how many readable bytes the kernels want behind the last row of a chunk.
const slack = 64

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
