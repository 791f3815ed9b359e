package forest_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine/forest"
)

// mutationModels are small models that together use every part of a format.
func mutationModels() map[string][]string {
	return map[string][]string{
		"lightgbm": {
			"lightgbm/binary/model.txt", "lightgbm/categorical_text/model.txt", "lightgbm/linear_tree/model.txt",
			"lightgbm/multiclass/model.txt", "lightgbm/mixed_missing/model.txt", "lightgbm/rf_binary/model.txt",
		},
		"linear": {"../bundles/logistic/model.txt", "lightgbm/linear_tree/model.txt"},
		"json": {
			"xgboost/binary_logistic/model.json", "xgboost/categorical_text/model.json", "xgboost/dart/model.json",
			"xgboost/parallel_classes/model.json", "xgboost/pruned/model.json", "xgboost/v3_0_dart/model.json",
		},
		"ubjson": {
			"xgboost/binary_logistic/model.ubj", "xgboost/categorical_text/model.ubj", "xgboost/dart/model.ubj",
			"xgboost/parallel_classes/model.ubj", "xgboost/pruned/model.ubj",
		},
	}
}

func fixtureFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(fixtureDir() + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// readOrRefuse reads any bytes and fails the test unless the outcome is an *Error or a forest that passes the
// self-check. It reports whether the forest was accepted.
func readOrRefuse(t testing.TB, file []byte) bool {
	t.Helper()
	started := processorTime(t)
	f, err := forest.Read("m", file, forest.Limits{LoadTime: 5 * time.Second})
	if took := processorTime(t) - started; took > 8*time.Second {
		t.Fatalf("reading took %v", took)
	}
	if err != nil {
		var e *forest.Error
		if !errors.As(err, &e) || e.Kind < forest.KindFormat || e.Kind > forest.KindSelfCheck || e.Error() == "" {
			t.Fatalf("untyped error %v", err)
		}
		return false
	}
	compiled, err := forest.Compile(f)
	if err != nil {
		return true // more columns than a kernel takes, said without a panic
	}
	if err := forest.SelfCheck(f, leavesOrNil(f), compiled.NewScorer()); err != nil {
		t.Fatal(err)
	}
	f.Describe()
	explain(f)
	scores := make([]float64, f.Classes)
	f.Probabilities(scores, scores)
	return true
}

// explain computes contributions of rows at the ends of all features, if the model has any.
func explain(f *forest.Forest) {
	e, err := forest.NewExplainer(f)
	if err != nil {
		return
	}
	rows := forest.Rows{Len: 4, Columns: make([]forest.Column, len(f.Features))}
	for i := range rows.Columns {
		rows.Columns[i].Numbers = []float64{math.NaN(), 0, 1e300, -1e300}
	}
	e.NewContributor().Contributions(make([]float64, rows.Len*f.Classes*(len(f.Features)+1)), rows)
}

// mutations is the number of mutations per format: a sample, unless MILLRACE_MUTATIONS asks for more.
func mutations(t *testing.T) int {
	text := os.Getenv("MILLRACE_MUTATIONS")
	if text == "" {
		return 3_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestReadMutations(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 30))
	for format, names := range mutationModels() {
		t.Run(format, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, uint64(len(format))))
			var files [][]byte
			for _, name := range names {
				files = append(files, fixtureFile(t, name))
			}
			accepted := 0
			for i := range mutations(t) {
				file := mutate(random, files[random.IntN(len(files))])
				func() {
					defer func() {
						if p := recover(); p != nil {
							t.Fatalf("mutation %d: panic: %v\n%s", i, p, debug.Stack())
						}
					}()
					if readOrRefuse(t, file) {
						accepted++
					}
				}()
			}
			t.Logf("%d of %d mutations are still models", accepted, mutations(t))
		})
	}
}

// mutate returns a changed copy: a digit, a byte, a bit, a line, a cut, a number made extreme.
func mutate(random *rand.Rand, file []byte) []byte {
	out := bytes.Clone(file)
	for range 1 + random.IntN(2) {
		at := random.IntN(len(out))
		switch random.IntN(8) {
		case 0:
			if d := nextDigit(out, at); d >= 0 {
				out[d] = byte('0' + random.IntN(10))
			}
		case 1:
			out[at] = byte(random.IntN(256))
		case 2:
			out[at] ^= 1 << random.IntN(8)
		case 3:
			out = out[:at+1]
		case 4: // drop a piece
			out = append(out[:at], out[min(len(out), at+1+random.IntN(64)):]...)
		case 5: // double a piece
			piece := bytes.Clone(out[at:min(len(out), at+1+random.IntN(64))])
			out = append(out[:at], append(piece, out[at:]...)...)
		case 6:
			out = extremeNumber(random, out, at)
		case 7:
			out = swapLines(random, out)
		}
		if len(out) == 0 {
			return out
		}
	}
	return out
}

func nextDigit(file []byte, at int) int {
	for ; at < len(file); at++ {
		if file[at] >= '0' && file[at] <= '9' {
			return at
		}
	}
	return -1
}

// extremeNumber replaces the number behind a place.
func extremeNumber(random *rand.Rand, file []byte, at int) []byte {
	values := []string{
		"-1", "0", "-0", "1", "255", "2147483647", "-2147483648", "4294967296", "99999999999999999999", "1e999", "-1e999",
		"nan", "NaN", "Infinity", "-Infinity", "inf", "1e-45", "0x10", "", "1_0", "3.5", "\"1\"", "true", "null", "[]", "{}",
	}
	start := nextDigit(file, at)
	if start < 0 {
		return file
	}
	end := start
	for end < min(len(file), start+30) && !bytes.ContainsRune([]byte(" ,\n]"), rune(file[end])) {
		end++
	}
	v := values[random.IntN(len(values))]
	return append(file[:start:start], append([]byte(v), file[end:]...)...)
}

func swapLines(random *rand.Rand, file []byte) []byte {
	separator := []byte("\n")
	if !bytes.Contains(file, separator) {
		separator = []byte(",")
	}
	lines := bytes.Split(file, separator)
	a, b := random.IntN(len(lines)), random.IntN(len(lines))
	lines[a], lines[b] = lines[b], lines[a]
	return bytes.Join(lines, separator)
}

// TestReadPrefixes cuts files everywhere. A cut file is refused; only a LightGBM file may lose what follows its trees: its
// parameters, with a warning, or what follows those, the final line end and the line that Python adds. It still is the
// same model.
func TestReadPrefixes(t *testing.T) {
	for _, name := range []string{
		"lightgbm/one_feature/model.txt", "lightgbm/categorical_text/model.txt", "xgboost/one_feature/model.json",
		"xgboost/one_feature/model.ubj", "xgboost/categorical_text/model.ubj",
	} {
		t.Run(name, func(t *testing.T) {
			file := fixtureFile(t, name)
			whole, err := forest.Read(name, file, forest.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			trees, parameters := bytes.Index(file, []byte("end of trees")), bytes.Index(file, []byte("parameters:"))
			tail := bytes.Index(file, []byte("end of parameters"))
			for cut := range len(file) {
				if skipCut(cut, len(file), tail) {
					continue
				}
				f, err := forest.Read(name, file[:cut], forest.Limits{})
				if err != nil {
					continue
				}
				behindTrees := cut >= trees+len("end of trees") && cut < parameters+len("parameters:") && len(f.Warnings) > 0
				behindAll := cut >= tail+len("end of parameters")
				if tail < 0 || !behindTrees && !behindAll || len(f.Trees) != len(whole.Trees) {
					t.Fatalf("the first %d of %d bytes are accepted", cut, len(file))
				}
			}
		})
	}
}

// skipCut thins out the cuts of a large file but keeps those near its end.
func skipCut(cut, size, tail int) bool {
	near := cut > size-3000 || tail >= 0 && cut > tail-200
	return !near && cut%max(1, size/4000) != 0
}

// TestReadKeepsNothing changes the file after reading it.
func TestReadKeepsNothing(t *testing.T) {
	for _, names := range mutationModels() {
		for _, name := range names {
			file := fixtureFile(t, name)
			f, err := forest.Read(name, file, forest.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			before := fmt.Sprintf("%+v", *f)
			clear(file)
			if fmt.Sprintf("%+v", *f) != before {
				t.Errorf("%s: the forest refers to the file", name)
			}
		}
	}
}
