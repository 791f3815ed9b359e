package ingest_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/retainwise/millrace/ingest"
)

// ours says whether an error has words for a customer.
func ours(err error) bool {
	return errors.As(err, new(*ingest.FormatError)) || errors.As(err, new(*ingest.TooLargeError)) ||
		errors.As(err, new(*ingest.RowTooLongError)) || errors.Is(err, ingest.ErrTooManyColumns)
}

// Whatever byte of a stream is another one: no panic, no error that is not ours, never more than the limits allow.
func TestFromArrowWithAnyByteDamaged(t *testing.T) {
	plain, _ := everyColumn(t)
	described := stream(t, arrow.NewSchema([]arrow.Field{{
		Name: "at", Type: &arrow.TimestampType{Unit: arrow.Second, TimeZone: "UTC"},
		Metadata: arrow.NewMetadata([]string{"k"}, []string{"v"}),
	}}, nil))
	limits := ingest.Limits{BytesMax: 1 << 20}
	for _, whole := range [][]byte{plain, described} {
		damaged := bytes.Clone(whole)
		for at := range damaged {
			for _, b := range []byte{0, 0xff, damaged[at] ^ 0x10} {
				damaged[at] = b
				out, err := io.ReadAll(ingest.FromArrow(bytes.NewReader(damaged), limits))
				if err != nil && !ours(err) || len(out) > 4<<20 {
					t.Fatalf("byte %d is %#x: %d bytes, error %v", at, b, len(out), err)
				}
			}
			damaged[at] = whole[at]
		}
	}
}

// What of a cut stream is read is the beginning of what the whole stream gives.
func TestFromArrowCutAnywhere(t *testing.T) {
	whole, _ := everyColumn(t)
	want, err := io.ReadAll(ingest.FromArrow(bytes.NewReader(whole), ingest.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		got, err := io.ReadAll(ingest.FromArrow(bytes.NewReader(whole[:n]), ingest.Limits{}))
		if err != nil && !ours(err) || !bytes.HasPrefix(want, got) {
			t.Fatalf("%d of %d bytes: %q, error %v", n, len(whole), got, err)
		}
	}
}

func TestFromJSONCutAnywhere(t *testing.T) {
	whole := `[{"a":"x\b\f\r\n\u00e9\ud83d\ude00","b c":-1.5e+3,"d":true} , {"a":null,"d":false}]`
	if got, err := io.ReadAll(ingest.FromJSON(strings.NewReader(whole), false, ingest.Limits{})); err != nil ||
		string(got) != "a,b c,d\n\"x\b\f\r\né😀\",-1.5e+3,true\n,,false\n" {
		t.Fatalf("%q, %v", got, err)
	}
	for n := range whole {
		if _, err := io.ReadAll(ingest.FromJSON(strings.NewReader(whole[:n]), false, ingest.Limits{})); !ours(err) {
			t.Errorf("%q: error %v", whole[:n], err)
		}
	}
}
