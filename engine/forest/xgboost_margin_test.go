package forest_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestXGBoostMarginsOfAllFourDigitBaseScores reads a model with each base score from 0.0100 to 0.9900 and compares its
// margin with the one that XGBoost makes by glibc's logf: testdata/train/make_libm_goldens.py.
func TestXGBoostMarginsOfAllFourDigitBaseScores(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join(fixtureDir(), "libm", "margins.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	scores := 0
	for line := range strings.Lines(string(golden)) {
		var text string
		var bits uint32
		if _, err := fmt.Sscanf(line, "%s\t%x", &text, &bits); err != nil {
			t.Fatal(err)
		}
		f := mustRead(t, xgboostDocument(t, objectiveOf("binary:logistic", text, "0")))
		if got := math.Float32bits(float32(f.Base[0])); got != bits {
			t.Errorf("base score %s: margin %x, want %x", text, got, bits)
		}
		scores++
	}
	if scores != 9801 {
		t.Errorf("%d base scores, want 9801", scores)
	}
}
