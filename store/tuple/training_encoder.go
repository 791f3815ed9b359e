package tuple

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/retainwise/millrace/store/customer"
)

// TrainingSample selects the rows of a prediction that are kept for retraining.
type TrainingSample struct {
	Key   customer.Key
	Rate  float32 // share of the customers, 0 to 1
	Group string  // experiment group of the file; empty is none
}

// TrainingEncoder turns the sampled rows of scored batches into tuples of ml_training_data in PostgreSQL's binary COPY
// format. Which customers are sampled depends on their hash only, so that another attempt keeps the same rows, and the
// next file the same customers. Rows without a customer id are left out, as no outcome can match them. It is
// made for one prediction and may be used by one goroutine at a time.
type TrainingEncoder struct {
	user, prediction uint64
	sample           TrainingSample
	customers        *customer.Hasher
	features         []featureText
}

// NewTrainingEncoder makes an encoder for a user's prediction, both named by their internal ids.
func NewTrainingEncoder(user, prediction int64, sample TrainingSample) *TrainingEncoder {
	return &TrainingEncoder{
		user: uint64(user), prediction: uint64(prediction), sample: sample,
		customers: sample.Key.Hasher(user),
	}
}

const trainingFields = 8

// AppendSample appends the tuples of a batch to dst. scored is as for [BlockEncoder.AppendBlocks]; input has the same
// rows, and in its number and category columns what the model read. Text columns, which identify people, are left out.
func (e *TrainingEncoder) AppendSample(dst []byte, input, scored arrow.Record) ([]byte, error) {
	s, err := columnsOf(scored)
	if err == nil && input.NumRows() != scored.NumRows() {
		err = fmt.Errorf("%d rows read, %d scored", input.NumRows(), scored.NumRows())
	}
	if err != nil {
		return dst, fmt.Errorf("encode training rows: %w", err)
	}
	e.features = featureTexts(e.features[:0], input)
	for i := range s.row {
		if s.id.IsNull(i) {
			continue
		}
		hash := e.customers.Hash([]byte(s.id.Value(i)))
		if e.customers.Sampled(e.sample.Rate) {
			dst = e.appendRow(dst, s, i, hash)
		}
	}
	return dst, nil
}

func (e *TrainingEncoder) appendRow(dst []byte, s scored, i int, hash customer.Hash) []byte {
	be := binary.BigEndian
	dst = be.AppendUint16(dst, trainingFields)
	dst = be.AppendUint64(be.AppendUint32(dst, 8), e.user)
	dst = be.AppendUint64(be.AppendUint32(dst, 8), e.prediction)
	dst = be.AppendUint32(be.AppendUint32(dst, 4), uint32(s.row[i]))
	dst = append(be.AppendUint32(dst, uint32(len(hash))), hash[:]...)
	dst = e.appendFeatures(dst, i)
	dst = be.AppendUint32(be.AppendUint32(dst, 4), math.Float32bits(s.probability[i]))
	dst = be.AppendUint16(be.AppendUint32(dst, 2), uint16(s.band[i]))
	if e.sample.Group == "" {
		return be.AppendUint32(dst, math.MaxUint32)
	}
	return append(be.AppendUint32(dst, uint32(len(e.sample.Group))), e.sample.Group...)
}

// appendFeatures writes the row as jsonb: version 1, then an object.
func (e *TrainingEncoder) appendFeatures(dst []byte, row int) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 1, '{') // the length is known at the end
	for i := range e.features {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = e.features[i].append(dst, row)
	}
	dst = append(dst, '}')
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// featureText writes the cells of a column as members of a JSON object.
type featureText struct {
	name    string // `"tenure":`
	cells   arrow.Array
	numbers []float64
	codes   []uint16
	texts   []string // of the codes, quoted
}

// featureTexts lists the columns of a batch that are features: numbers and categories.
func featureTexts(list []featureText, input arrow.Record) []featureText {
	for i, field := range input.Schema().Fields() {
		f := featureText{name: quoted(field.Name) + ":", cells: input.Column(i)}
		switch c := f.cells.(type) {
		case *array.Float64:
			f.numbers = c.Float64Values()
		case *array.Dictionary:
			f.codes = c.Indices().(*array.Uint16).Uint16Values()
			values := c.Dictionary().(*array.String)
			for j := range values.Len() {
				f.texts = append(f.texts, quoted(values.Value(j)))
			}
		default:
			continue
		}
		list = append(list, f)
	}
	return list
}

func quoted(s string) string {
	text, _ := json.Marshal(s) // cannot fail for a string
	return string(text)
}

func (f *featureText) append(dst []byte, row int) []byte {
	dst = append(dst, f.name...)
	switch {
	case f.cells.IsNull(row):
		return append(dst, "null"...)
	case f.numbers != nil:
		return strconv.AppendFloat(dst, f.numbers[row], 'g', -1, 64)
	}
	return append(dst, f.texts[f.codes[row]]...)
}
