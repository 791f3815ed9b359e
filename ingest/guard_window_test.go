package ingest_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/ingest"
)

// guardedChunks converts a file with the guard on and gives, for each row, whether the batch says that it must be
// guarded, and whether guarding changes it.
func guardedChunks(t *testing.T, file string, chunkBytes int) (flagged, changed []bool) {
	t.Helper()
	limits := ingest.Limits{ChunkBytes: chunkBytes}
	header, body, err := ingest.ReadHeader(strings.NewReader(file), limits)
	if err != nil {
		t.Fatal(err)
	}
	mapping, err := ingest.Map(churn(), header)
	if err != nil {
		t.Fatal(err)
	}
	mapping.Guard = true
	chunker, converter := ingest.NewChunker(body, header.Delimiter, header.Start(), limits), ingest.NewConverter(mapping, limits)
	for {
		chunk, err := chunker.Next(nil)
		if errors.Is(err, io.EOF) {
			return flagged, changed
		}
		if err != nil {
			t.Fatal(err)
		}
		batch, err := converter.Convert(chunk)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.IsSorted(batch.Formulas) {
			t.Errorf("places do not ascend: %d", batch.Formulas)
		}
		starts, lengths := batch.Record.Column(1).(*array.Int32), batch.Record.Column(2).(*array.Int32)
		for i, start := range starts.Int32Values() {
			end := start + lengths.Value(i)
			first, _ := slices.BinarySearch(batch.Formulas, start)
			flagged = append(flagged, first < len(batch.Formulas) && batch.Formulas[first] <= end)
			row := chunk.Bytes[start:end]
			changed = append(changed, !bytes.Equal(mapping.AppendGuardedRow(nil, row), row))
		}
	}
}

// A batch names the rows that the guard changes, and in windows without breaks inside cells no others.
func TestConvertNamesTheRowsToGuard(t *testing.T) { ingest.WithKernels(t, convertNamesRows) }

func convertNamesRows(t *testing.T) {
	for _, chunkBytes := range []int{1 << 8, 1 << 20} {
		for name, ids := range map[string][]string{
			"plain":  {"=1+1", "a", "-5", "-x", "\"=b\"", "\"-5\"", "+1", "@", "é", "\u00a0=1", "'=1", "|x", "\"%b\"", "5%", "a|b", "％x", "-", "a|=b", "\"x,=y\"", "\"x,y\"", "a\t@b", "a| é", "last"},
			"breaks": {"a", "\"two\n=1\"", "\"two\n|1\"", "%x", "b;c", "\"x\n\ny\"", "c\rd", "=1", "last"},
		} {
			for _, end := range []string{"\n", "\r\n"} {
				file := strings.TrimSpace(churnHeader) + end
				for range 20 {
					for _, id := range ids {
						file += id + ",-1,5,Monthly,Yes" + end
					}
				}
				flagged, changed := guardedChunks(t, strings.TrimSuffix(file, end), chunkBytes)
				if len(flagged) != 20*len(ids) || !slices.Contains(changed, true) || !slices.Contains(changed, false) {
					t.Fatalf("%s: %d rows", name, len(flagged))
				}
				for i := range flagged {
					if changed[i] && !flagged[i] || name == "plain" && flagged[i] != changed[i] {
						t.Errorf("%s, %q, chunks of %d: row %d (%q): flagged %v, changed %v", name, end, chunkBytes, i+1,
							ids[i%len(ids)], flagged[i], changed[i])
					}
				}
			}
		}
	}
}

// In files of random cells with signs, blanks, separators and quotation marks, with any delimiter, the batch names exactly
// the rows that the guard changes.
func TestConvertNamesRandomRowsToGuard(t *testing.T) { ingest.WithKernels(t, convertNamesRandomRows) }

func convertNamesRandomRows(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	letters := []rune("abcabcabc 12=+-@|%,\t\"'é＝\u00a0\x01.")
	for round := range 60 {
		delimiter := ",;\t|"[round%4 : round%4+1]
		file := strings.ReplaceAll(strings.TrimSpace(churnHeader), ",", delimiter) + delimiter + "note\n"
		const rows = 50
		for range rows {
			note := make([]rune, random.IntN(12))
			for i := range note {
				note[i] = letters[random.IntN(len(letters))]
			}
			cell := string(note)
			if random.IntN(4) == 0 || strings.ContainsAny(cell, delimiter+"\"") {
				cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
			}
			charge := []string{"1", "-5", "", " ", `"-1"`}[random.IntN(5)]
			file += strings.Join([]string{"a", "1", charge, "Monthly", "Yes", cell}, delimiter) + "\n"
		}
		flagged, changed := guardedChunks(t, file, []int{1 << 8, 1 << 20}[round%2])
		if len(flagged) != rows {
			t.Fatalf("%d rows of %q", len(flagged), file)
		}
		for i := range flagged {
			if flagged[i] != changed[i] {
				t.Fatalf("row %d of %q: flagged %v, changed %v", i+1, file, flagged[i], changed[i])
			}
		}
	}
}

// convertFile converts a whole file of one chunk.
func convertFile(t *testing.T, file string, s ingest.Schema, guard bool) (ingest.Mapping, ingest.Chunk, ingest.Batch) {
	t.Helper()
	header, body, err := ingest.ReadHeader(strings.NewReader(file), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	mapping, err := ingest.Map(s, header)
	if err != nil {
		t.Fatal(err)
	}
	mapping.Guard = guard
	chunk, err := ingest.NewChunker(body, header.Delimiter, header.Start(), ingest.Limits{}).Next(nil)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := ingest.NewConverter(mapping, ingest.Limits{}).Convert(chunk)
	if err != nil {
		t.Fatal(err)
	}
	return mapping, chunk, batch
}

func TestGuardedRejects(t *testing.T) {
	s := churn()
	s.Columns[4].Name = "=paid"
	s.Columns[1].Kind = ingest.Text
	mapping, chunk, batch := convertFile(t, "id,tenure,=paid\n=1,many,x\n", s, true)
	if len(batch.Rejects) != 1 {
		t.Fatalf("%d rejects", len(batch.Rejects))
	}
	got := string(mapping.AppendReject(mapping.AppendRejectHeader(nil), chunk, batch.Rejects[0]))
	if lines := strings.Split(got, "\n"); !strings.HasPrefix(lines[0], "id,tenure,'=paid,_row") ||
		!strings.HasPrefix(lines[1], "'=1,many,x,1,2,ERR-16") || !strings.Contains(lines[1], ",'=paid,") {
		t.Errorf("%q", got)
	}
}

func TestRowsReadOurOwnFiles(t *testing.T) {
	for file, want := range map[string]string{
		"a,b\n1,2\r\n\"x \"\"y\"\"\",\"p,q\"\n3,": "a|b / 1|2 / x \"y\"|p,q / 3|",
		"a;b\n1;\"2\n3\"\n":                       "a|b / 1|2\n3",
		"a,b\n":                                   "a|b",
		"a,b":                                     "a|b",
		"a\n\"\"\"\"\n\"\"\"1\"\n":                "a / \" / \"1",
	} {
		for _, chunkBytes := range []int{8, 1 << 20} {
			rows, err := ingest.NewRows(strings.NewReader(file), ingest.Limits{ChunkBytes: chunkBytes})
			if err != nil {
				t.Fatalf("%q: %v", file, err)
			}
			got := strings.Join(rows.Header.Names, "|")
			for {
				cells, err := rows.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%q: %v", file, err)
				}
				got += " / " + string(bytes.Join(cells, []byte("|")))
			}
			if got != want {
				t.Errorf("%q in chunks of %d: %q, want %q", file, chunkBytes, got, want)
			}
		}
	}
	if _, err := ingest.NewRows(strings.NewReader(""), ingest.Limits{}); !errors.Is(err, ingest.ErrEmpty) {
		t.Errorf("nothing: %v", err)
	}
	rows, err := ingest.NewRows(strings.NewReader("a\n\"open\n"), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rows.Next(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("an open quote: %v", err)
	}
}
