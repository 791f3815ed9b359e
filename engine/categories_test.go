package engine_test

import (
	"os"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// pandas writes integer categories as floats where a cell is blank, and bools with a capital. A bare model file names its
// categories as the library keeps them; both must be the same to the bit.
func TestBareModelReadsWhatPandasWrites(t *testing.T) {
	model, err := os.ReadFile("../testdata/forest/lightgbm/categorical_mixed/model.txt")
	if err != nil {
		t.Fatal(err)
	}
	b, err := engine.OpenModelFile("mixed.txt", model)
	if err != nil {
		t.Fatal(err)
	}
	const head = "n0,n1,n2,n3,n4,whole,flag,share,mark\n"
	rows := []string{"1,2,3,4,5,10,false,0.5,x", "1,2,3,4,5,-3,true,1,x", "9,8,7,6,5,0,true,2.25,x", "0,0,0,0,0,7,false,0.5,1"}
	_, want, err := score(t, head+strings.Join(rows, "\n")+"\n", b, engine.Options{Explain: engine.ExplainNone}, ingest.Limits{})
	if err != nil || want.Scored != 4 {
		t.Fatal(want, err)
	}
	written := strings.NewReplacer(",10,", ",10.0,", ",-3,", ",-3.0,", ",0,true", ",0.0,True", ",7,", ",7.0,", "false", "False",
		"true", "True", ",0.5,", ",0.50,").Replace(strings.Join(rows, "\n"))
	sink, got, err := score(t, head+written+"\n", b, engine.Options{Explain: engine.ExplainNone}, ingest.Limits{})
	if err != nil || got.Scored != 4 || got.Variance != want.Variance {
		t.Errorf("%q: %v %v, want variance %v, got %v\n%s", written, err, got.Warnings, want.Variance, got.Variance, sink.result.String())
	}
	for _, w := range got.Warnings {
		if w.Code == ingest.UnknownCategory.Code() {
			t.Errorf("unseen: %+v", w)
		}
	}
}
