package ingest

import "github.com/apache/arrow/go/v17/arrow"

// Names of the columns that every batch has in front of the schema's own columns.
const (
	RowColumn    = "_row"    // int64: number of the row in the file, the first data row is 1
	StartColumn  = "_start"  // int32: where the row's bytes begin in the chunk
	LengthColumn = "_length" // int32: how many bytes it has, without its line end
)

// Position is a place in a file where a row starts.
type Position struct {
	Offset int64 // bytes from the start of the (unpacked) file
	Row    int64 // number of the row that starts here; the first data row is 1
	Line   int64 // physical line that starts here; the header is on line 1
}

// Chunk is a run of whole rows. Its bytes belong to the caller of [Chunker.Next] and stay valid until that buffer is
// used again.
type Chunk struct {
	Position
	Bytes []byte
	Rows  int64 // rows in it; blank lines are lines, not rows
	Lines int64 // physical lines in it
	// Skipped are lines of nothing but delimiters. They are no rows either.
	Skipped int64
}

// Batch is a chunk's rows as columns.
type Batch struct {
	// Record has the three columns above, then one column per column of the schema, in its order: float64 for Number,
	// dictionary<uint16, utf8> for Category, utf8 for Text. Rejected rows are not in it.
	//
	// In a Category column the code slot of a missing cell holds len(Categories) and that of an unknown category
	// len(Categories)+1; both are null. A schema column that the file does not have is all missing.
	//
	// The record's memory belongs to the converter and is valid until its next Convert.
	Record arrow.Record
	// Rejects lists the refused rows in input order; valid as long as Record. Their bytes are in the chunk.
	Rejects []Reject
	// Warnings counts rows that were scored with a remark. A column that the file does not have gives none.
	Warnings []WarningCount
	// Formulas are places in the chunk, ascending: a row that has one of them must be written with
	// [Mapping.AppendGuardedRow]. Empty unless [Mapping].Guard is set; valid as long as Record.
	Formulas []int32
}

// Reject is a row refused with a reason. It holds no value of the customer's.
type Reject struct {
	Row, Line     int64
	Start, Length int32 // the row's bytes in the chunk, without its line end
	Reason        Reason
	Column        string // the file's name of the column; empty if the reason concerns the whole row
	Expected      string // what was expected there, in words for the customer: "a number"
	// More are further reasons, of other columns: at most [causesMax] with the first.
	More []Cause
}

// Cause is one of several reasons for which a row was refused, as in a [Reject].
type Cause struct {
	Reason   Reason
	Column   string
	Expected string
}

// causesMax is how many reasons of a row are named.
const causesMax = 8

// Causes are all reasons, the first included.
func (r Reject) Causes() []Cause {
	return append([]Cause{{r.Reason, r.Column, r.Expected}}, r.More...)
}

// WarningCount says how often a remark applied to a column.
type WarningCount struct {
	Reason Reason
	Column string // the schema's name of the column
	Count  int64
}

// Reason says why a row was rejected or remarked upon. Its published code is 1600 + its value: ERR-1601 is a wrong
// field count.
type Reason uint8

const (
	WrongFieldCount   Reason = 1
	NotANumber        Reason = 2
	NotFinite         Reason = 3
	RequiredEmpty     Reason = 4
	FieldTooLong      Reason = 5
	InvalidUTF8       Reason = 6
	NotYesNoOrDate    Reason = 7 // from reading outcomes, never from a [Converter]
	DuplicateID       Reason = 8
	NULByte           Reason = 9
	OutsideAllowed    Reason = 10
	CategoryRefused   Reason = 11
	AgainstStyle      Reason = 12 // a number written otherwise than those of its file: see [NumberStyle]
	BrokenQuotes      Reason = 13 // a quotation mark in the wrong place
	TotalRow          Reason = 14 // sums of the rows above, no customer
	OutsideTraining   Reason = 51
	MissingValue      Reason = 52
	UnknownCategory   Reason = 53
	Normalised        Reason = 54
	DuplicateIDScored Reason = 55
	LooseCategory     Reason = 56 // known but for case, white space, dashes, or as another spelling of a number or a yes
	WrittenNumber     Reason = 57 // read from a number with separators of thousands, a decimal comma, a currency
)
