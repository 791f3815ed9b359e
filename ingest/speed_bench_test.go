package ingest_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	arrowcsv "github.com/apache/arrow/go/v17/arrow/csv"

	"github.com/retainwise/millrace/ingest"
)

// The file of the benchmarks: 25 columns of a telecom customer in about 172 bytes a row, one id, 14 categories, 6 whole
// numbers and 4 decimals, of which one is blank now and then.
const benchRows = 1_000_000

var benchCategories = []struct {
	name   string
	values []string
}{
	{"gender", []string{"Female", "Male"}},
	{"Partner", []string{"Yes", "No"}},
	{"Dependents", []string{"Yes", "No"}},
	{"PhoneService", []string{"Yes", "No"}},
	{"MultipleLines", []string{"Yes", "No", "No phone service"}},
	{"InternetService", []string{"DSL", "Fiber optic", "No"}},
	{"OnlineSecurity", []string{"Yes", "No", "No internet service"}},
	{"OnlineBackup", []string{"Yes", "No", "No internet service"}},
	{"DeviceProtection", []string{"Yes", "No", "No internet service"}},
	{"TechSupport", []string{"Yes", "No", "No internet service"}},
	{"StreamingTV", []string{"Yes", "No", "No internet service"}},
	{"Contract", []string{"Month-to-month", "One year", "Two year"}},
	{"PaperlessBilling", []string{"Yes", "No"}},
	{"PaymentMethod", []string{
		"Electronic check", "Mailed check", "Bank transfer (automatic)", "Credit card (automatic)",
	}},
}

var benchNumbers = []string{
	"SeniorCitizen", "tenure", "SupportCalls", "AccountAge", "Logins", "DataUsage",
	"MonthlyCharges", "TotalCharges", "AverageCall", "Discount",
}

func benchSchema() ingest.Schema {
	s := ingest.Schema{Columns: []ingest.Column{{Name: "customerID", Kind: ingest.Text, Required: true, NotEmpty: true}}}
	for _, c := range benchCategories {
		s.Columns = append(s.Columns, ingest.Column{Name: c.name, Kind: ingest.Category, Categories: c.values})
	}
	for _, name := range benchNumbers {
		s.Columns = append(s.Columns, ingest.Column{Name: name, Kind: ingest.Number, Min: bound(0), Max: bound(1e6)})
	}
	return s
}

var (
	plainFile  = sync.OnceValue(func() []byte { return makeBenchFile(false) })
	quotedFile = sync.OnceValue(func() []byte { return makeBenchFile(true) })
)

func benchFile(quoted bool) []byte {
	if quoted {
		return quotedFile()
	}
	return plainFile()
}

// makeBenchFile makes the file; quoted puts every text in quotes, some with commas, doubled quotes and line breaks.
func makeBenchFile(quoted bool) []byte {
	random := rand.New(rand.NewPCG(7, 7))
	var b bytes.Buffer
	for i, column := range benchSchema().Columns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(column.Name)
	}
	b.WriteByte('\n')
	for range benchRows {
		benchRow(&b, random, quoted)
	}
	return b.Bytes()
}

func benchRow(b *bytes.Buffer, random *rand.Rand, quoted bool) {
	quote := ""
	if quoted {
		quote = `"`
	}
	id := fmt.Sprintf("%04d-%c%c%c%c%c", random.IntN(10000), 'A'+random.IntN(26), 'A'+random.IntN(26), 'A'+random.IntN(26),
		'A'+random.IntN(26), 'A'+random.IntN(26))
	if quoted && random.IntN(50) == 0 {
		id = []string{id + ", Ltd", id + `""x""`, id + "\nBerlin"}[random.IntN(3)]
	}
	fmt.Fprint(b, quote, id, quote)
	for _, c := range benchCategories {
		fmt.Fprint(b, ",", quote, c.values[random.IntN(len(c.values))], quote)
	}
	monthly := float64(1825+random.IntN(10000)) / 100
	tenure := random.IntN(73)
	fmt.Fprintf(b, ",%d,%d,%d,%d,%d,%d,%.2f", random.IntN(2), tenure, random.IntN(10), random.IntN(5000), random.IntN(300),
		random.IntN(100000), monthly)
	if random.IntN(74) == 0 {
		b.WriteString(", ")
	} else {
		fmt.Fprintf(b, ",%.2f", monthly*float64(tenure))
	}
	fmt.Fprintf(b, ",%.4f,%.3f\n", random.Float64()*30, random.Float64())
}

// report adds rows to the MB/s.
func report(b *testing.B, file []byte) {
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func BenchmarkMemcpy(b *testing.B) {
	file := benchFile(false)
	buf := make([]byte, 256<<10)
	for b.Loop() {
		for rest := file; len(rest) > 0; rest = rest[min(len(rest), len(buf)):] {
			copy(buf, rest)
		}
	}
	report(b, file)
}

// chunksInPlace cuts a file beforehand without copying it, for benchmarks of what comes behind.
func chunksInPlace(b *testing.B, file []byte) (ingest.Mapping, []ingest.Chunk) {
	header, _, err := ingest.ReadHeader(bytes.NewReader(file), ingest.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	m, err := ingest.Map(benchSchema(), header)
	if err != nil {
		b.Fatal(err)
	}
	chunks, err := ingest.ChunksInPlace(file[header.Bytes:], header.Start())
	if err != nil {
		b.Fatal(err)
	}
	return m, chunks
}

// variants runs a benchmark on plain and on quoted text, with every set of kernels.
func variants(b *testing.B, run func(b *testing.B, file []byte)) {
	for _, quoted := range []bool{false, true} {
		file := benchFile(quoted)
		b.Run(variantName(quoted), func(b *testing.B) {
			ingest.WithKernels(b, func(b *testing.B) { run(b, file) })
		})
	}
}

func variantName(quoted bool) string {
	if quoted {
		return "quoted"
	}
	return "plain"
}

func BenchmarkTokenise(b *testing.B) {
	variants(b, func(b *testing.B, file []byte) {
		for b.Loop() {
			if n := ingest.IndexWindows(file, ','); n != 25*(benchRows+1) {
				b.Fatal(n)
			}
		}
		report(b, file)
	})
}

func BenchmarkConvert(b *testing.B) {
	variants(b, func(b *testing.B, file []byte) {
		m, chunks := chunksInPlace(b, file)
		c := ingest.NewConverter(m, ingest.Limits{})
		for b.Loop() {
			for _, chunk := range chunks {
				if batch, err := c.Convert(chunk); err != nil || len(batch.Rejects) > 0 {
					b.Fatal(err, batch.Rejects)
				}
			}
		}
		report(b, file)
	})
}

func BenchmarkCut(b *testing.B) {
	variants(b, func(b *testing.B, file []byte) {
		var buf []byte
		for b.Loop() {
			c := ingest.NewChunker(bytes.NewReader(file), ',', ingest.Position{Row: 1, Line: 1}, ingest.Limits{})
			for {
				chunk, err := c.Next(buf)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
				buf = chunk.Bytes[:0]
			}
		}
		report(b, file)
	})
}

// Not typed: the cells are not even looked at.
func BenchmarkEncodingCSV(b *testing.B) {
	for _, quoted := range []bool{false, true} {
		b.Run(variantName(quoted), func(b *testing.B) {
			file := benchFile(quoted)
			for b.Loop() {
				readEncodingCSV(b, file)
			}
			report(b, file)
		})
	}
}

func readEncodingCSV(b *testing.B, file []byte) {
	r := csv.NewReader(bytes.NewReader(file))
	r.ReuseRecord = true
	for {
		if _, err := r.Read(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// Typed as ours, but with strings for categories: it makes no codes.
func BenchmarkArrowCSV(b *testing.B) {
	for _, quoted := range []bool{false, true} {
		b.Run(variantName(quoted), func(b *testing.B) {
			file := benchFile(quoted)
			for b.Loop() {
				readArrowCSV(b, file)
			}
			report(b, file)
		})
	}
}

func readArrowCSV(b *testing.B, file []byte) {
	r := arrowcsv.NewReader(bytes.NewReader(file), arrowSchema(), arrowcsv.WithHeader(true), arrowcsv.WithChunk(8192),
		arrowcsv.WithNullReader(true, "", " "))
	defer r.Release()
	for r.Next() {
	}
	if r.Err() != nil {
		b.Fatal(r.Err())
	}
}

func arrowSchema() *arrow.Schema {
	var fields []arrow.Field
	for _, column := range benchSchema().Columns {
		kind := arrow.DataType(arrow.BinaryTypes.String)
		if column.Kind == ingest.Number {
			kind = arrow.PrimitiveTypes.Float64
		}
		fields = append(fields, arrow.Field{Name: column.Name, Type: kind, Nullable: true})
	}
	return arrow.NewSchema(fields, nil)
}

// BenchmarkDecideNumbers is what a file pays once: its first megabyte, and a small file whose rows are all looked at.
func BenchmarkDecideNumbers(b *testing.B) {
	for name, size := range map[string]int{"megabyte": 2 << 20, "small": 8 << 10} {
		b.Run(name, func(b *testing.B) {
			file := benchFile(false)[:size]
			header, _, err := ingest.ReadHeader(bytes.NewReader(file), ingest.Limits{})
			if err != nil {
				b.Fatal(err)
			}
			m, err := ingest.Map(benchSchema(), header)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				sample, _, err := ingest.ReadSample(bytes.NewReader(file[header.Bytes:]))
				if err == nil {
					_, err = m.DecideNumbers(sample, ingest.NumberStyle{})
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
