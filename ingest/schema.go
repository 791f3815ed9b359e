// Package ingest turns CSV bytes into Arrow record batches. It takes an io.Reader and opens nothing.
//
// The path of a byte: [Header] names the columns, a [Chunker] cuts the stream at row ends, a [Converter] turns one chunk
// into one [Batch] and accounts for every row in it.
package ingest

// Kind is what the cells of a column mean.
type Kind uint8

const (
	// Number is a decimal number, kept as float64; missing is NaN and null.
	Number Kind = iota
	// Category is one of a list of texts, kept as its position in that list.
	Category
	// Text is kept as it is: the customer id.
	Text
)

// Schema is what a model wants to read from a file.
type Schema struct {
	Columns []Column
}

// Column is one column that a model reads.
type Column struct {
	Name     string
	Aliases  []string // other header names, compared like Name: case, spaces and underscores do not count
	Kind     Kind
	Required bool // the header must have it
	NotEmpty bool // a row whose cell is missing is rejected (1604)
	// Categories are the texts of a Category column; the position is the code.
	Categories []string
	// Spellings maps other texts to one of Categories ("yes" to "Yes").
	Spellings map[string]string
	// MissingWords are the texts, after trimming, that mean "no value". The empty text always does.
	MissingWords []string
	// Min and Max bound the numbers seen in training; a number outside is a warning (1651). Nil is open.
	Min, Max *float64
	// AllowedMin and AllowedMax bound the numbers that may be scored; a row outside is rejected (1610). Nil is open.
	AllowedMin, AllowedMax *float64
	// RefuseUnknown rejects a row whose category is not known (1611) instead of warning (1653).
	RefuseUnknown bool
}

// Limits bound what a file may make us hold or do. The zero value of a field means its default.
type Limits struct {
	RowsMax     int64 // rows of a file; 0 is no limit
	BytesMax    int64 // unpacked bytes of a file; 0 is no limit
	RowBytesMax int   // bytes of one row; default 1 MiB
	// FieldBytesMax bounds one cell as it stands in the file; a row with a longer one is rejected (1605). Default 64 KiB.
	FieldBytesMax int
	ColumnsMax    int   // columns of a header; default 4,096
	ChunkBytes    int   // target size of a chunk; default 1 MiB, never above RowBytesMax
	PartBytes     int64 // target size of a part; default 8 MiB; always a whole number of chunks
	UnpackedMax   int64 // bytes out of a gzip or zstd stream; 0 is no limit
	UnpackRatio   int64 // most bytes out for one byte in, counted after the first MiB; default 200
}
