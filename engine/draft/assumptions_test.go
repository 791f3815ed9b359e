package draft_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/draft"
)

// plainModel has the number features x and z and the category k, and no names of categories.
func plainModel(t *testing.T) (model []byte, rows string) {
	t.Helper()
	dir := testdata + "models/xgboost-2.1.4/text/"
	return read(t, dir+"model.ubj"), string(read(t, dir+"rows.csv"))
}

// TestWhatIsNotKnownIsAnError: nothing about the meaning of a cell is guessed.
func TestWhatIsNotKnownIsAnError(t *testing.T) {
	model, rows := plainModel(t)
	listed := read(t, testdata+"models/xgboost-3.4.1/text/model.ubj")
	for name, tt := range map[string]struct {
		model  []byte
		rows   string
		change func(o *draft.Options)
		want   string
	}{
		"no categories":         {model, rows, func(*draft.Options) {}, "choose sorted categories"},
		"too few categories":    {model, rows, func(o *draft.Options) { o.Categories = map[string][]string{"k": {"DSL"}} }, "categories at least"},
		"one of two names":      {model, rows, func(o *draft.Options) { o.Categories = map[string][]string{"k": {"a", "b", "a"}} }, `read "a"`},
		"the file has them":     {listed, rows, func(o *draft.Options) { o.Categories = map[string][]string{"k": {"a"}} }, "lists its categories itself"},
		"a column is not there": {listed, strings.Replace(rows, "x,z", "x,zz", 1), func(*draft.Options) {}, "'z'"},
		"no label in the rows":  {listed, rows, func(o *draft.Options) { o.Label = "Churn" }, "'Churn'"},
		"label says nothing": {
			[]byte(unnamed(t)), "f0,f1,left\n1,2,perhaps\n3,4,soon\n", func(o *draft.Options) { o.Label = "left" }, "says of no row",
		},
		"a count of columns":  {[]byte(strings.Replace(unnamed(t), "feature_names=f0 f1", "feature_names=Column_0 Column_1", 1)), "a,b,c\n1,2,3\n", func(*draft.Options) {}, "none of its 2 columns"},
		"nothing can be read": {[]byte(unnamed(t)), "f0,f1\nx1,y2\nx3,y4\n", func(*draft.Options) {}, "reads codes of categories"},
		"several classes":     {read(t, multiclass), "a\n1\n", func(*draft.Options) {}, "gives no probability of one class"},
		"name":                {listed, rows, func(o *draft.Options) { o.Name = "Not A Name" }, "must match"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			tt.change(&o)
			fileName := "model.ubj"
			if strings.HasPrefix(string(tt.model), "tree") {
				fileName = "model.txt"
			}
			_, _, _, err := create(t, tt.model, fileName, tt.rows, "", o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// multiclass is a model of several classes.
const multiclass = testdata + "forest/lightgbm/multiclass/model.txt"

// unnamed returns a LightGBM model of two features f0 and f1 that splits on both.
func unnamed(t *testing.T) string {
	t.Helper()
	return `tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=1
objective=binary sigmoid:1
feature_names=f0 f1
feature_infos=[0:100] [0:100]
tree_sizes=289

Tree=0
num_leaves=3
num_cat=0
split_feature=0 1
split_gain=10 5
threshold=49.5 30.25
decision_type=2 2
left_child=-1 -2
right_child=1 -3
leaf_value=-1 0.5 2
leaf_weight=10 10 10
leaf_count=100 60 40
internal_value=0 1
internal_weight=30 20
internal_count=200 100
is_linear=0
shrinkage=1


end of trees

parameters:
[boosting: gbdt]
end of parameters

pandas_categorical:null
`
}

// numbersTable has n rows with a label that the model predicts, at a different rate.
func numbersTable(n int, seed uint64) string {
	random := rand.New(rand.NewPCG(seed, 0))
	var b strings.Builder
	b.WriteString("customer;login_days;Tickets;left\n")
	for i := range n {
		x, z := random.Float64()*100, random.IntN(60)
		p := 0.05
		if x > 49.5 {
			p = 0.2
			if z > 30 {
				p = 0.8
			}
		}
		left := "no"
		if random.Float64() < p {
			left = "yes"
		}
		fmt.Fprintf(&b, "c%d;%s;%d;%s\n", i, strings.Replace(fmt.Sprintf("%.2f", x), ".", ",", 1), z, left)
	}
	return b.String()
}

// TestColumnsByPlaceAndCalibration: a model without names reads the columns in their order, numbers with decimal commas are
// read, and the holdout's rates correct the probabilities.
func TestColumnsByPlaceAndCalibration(t *testing.T) {
	o := options()
	o.ID, o.Label = "customer", "left"
	model := strings.Replace(unnamed(t), "feature_names=f0 f1", "feature_names=Column_0 Column_1", 1)
	dir, b, r, err := create(t, []byte(model), "model.txt", numbersTable(3000, 1), numbersTable(3000, 2), o)
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(r.Assumed, "\n")
	if !strings.Contains(said, "in their order, from login_days to Tickets") || !strings.Contains(said, "bands by the rates in the holdout") {
		t.Errorf("assumed %q", r.Assumed)
	}
	yaml := string(read(t, filepath.Join(dir, "bundle.yaml")))
	for _, want := range []string{
		"calibration: {method: platt", "label: Login\n", "unit: days", "high: 'many tickets ({value}, typical {typical})'",
		"auc: 0.", "# of the holdout",
	} {
		if !strings.Contains(yaml, want) {
			t.Errorf("bundle.yaml lacks %q:\n%s", want, yaml)
		}
	}
	if off := math.Abs(r.Holdout.MeanProbability - r.Holdout.ActualRate); off > 0.01 {
		t.Errorf("calibrated mean %v, rate %v", r.Holdout.MeanProbability, r.Holdout.ActualRate)
	}
	if off := math.Abs(r.Training.MeanProbability - r.Training.ActualRate); off < 0.1 {
		t.Errorf("mean %v is the rate %v already: the table shows no calibration", r.Training.MeanProbability, r.Training.ActualRate)
	}
	lint := strings.Join(b.Lint(), "\n")
	if !strings.Contains(lint, "verified: self") || !strings.Contains(lint, "value: missing") || strings.Contains(lint, "login_days") {
		t.Errorf("lint says %s", lint)
	}
}

// TestColumnOfLinearLeavesIsRequired: a column that no split asks for, but a linear leaf reads, may not be missing from a
// file; one that nothing reads may.
func TestColumnOfLinearLeavesIsRequired(t *testing.T) {
	onlyFirst := strings.Replace(unnamed(t), "split_feature=0 1", "split_feature=0 0", 1)
	linear := strings.Replace(onlyFirst, "is_linear=0",
		"is_linear=1\nleaf_const=-1 0.5 1\nnum_features=0 0 1\nleaf_features=  1  \nleaf_coeff=  0.03125  ", 1)
	linear = strings.Replace(linear, "tree_sizes=289", "tree_sizes=371", 1)
	for model, required := range map[string]bool{linear: true, onlyFirst: false} {
		o := options()
		o.ID = "customer"
		dir, _, _, err := create(t, []byte(model), "model.txt", renamed(numbersTable(300, 1)), "", o)
		if err != nil {
			t.Fatal(err)
		}
		_, column, found := strings.Cut(string(read(t, filepath.Join(dir, "bundle.yaml"))), "name: f1")
		if column, _, _ = strings.Cut(column, "- name:"); !found || strings.Contains(column, "required: true") != required {
			t.Errorf("required should be %v:\n%s", required, column)
		}
	}
}

// TestFewOutcomesCorrectNothing: a calibration of a few rows would be noise.
func TestFewOutcomesCorrectNothing(t *testing.T) {
	o := options()
	o.Label = "left"
	o.ID = "customer"
	dir, _, r, err := create(t, []byte(unnamed(t)), "model.txt", renamed(numbersTable(500, 1)), renamed(numbersTable(60, 2)), o)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(read(t, filepath.Join(dir, "bundle.yaml"))); strings.Contains(text, "calibration") {
		t.Errorf("a calibration of 60 rows:\n%s", text)
	}
	if !strings.Contains(strings.Join(r.LookAt, "\n"), "too few to correct") {
		t.Errorf("look at %q", r.LookAt)
	}
}

func renamed(table string) string { return strings.Replace(table, "login_days;Tickets", "f0;f1", 1) }

// TestLibraryThatDisagreesIsAnError: the training library's scores are the measure, where there are any.
func TestLibraryThatDisagreesIsAnError(t *testing.T) {
	table := renamed(numbersTable(200, 1))
	o := options()
	o.ID, o.Label = "customer", "left"
	answer := func(change func(*draft.LibraryScores)) func(context.Context, draft.LibraryRequest) (*draft.LibraryScores, error) {
		return func(_ context.Context, q draft.LibraryRequest) (*draft.LibraryScores, error) {
			if q.Library != "lightgbm" || !slices.Equal(q.Names, []string{"f0", "f1"}) {
				t.Errorf("asked for %s of %q", q.Library, q.Names)
			}
			s := &draft.LibraryScores{Library: "lightgbm 9"}
			for _, row := range q.Rows {
				raw := treeScore(row)
				s.Raw, s.Probability = append(s.Raw, raw), append(s.Probability, 1/(1+math.Exp(-raw)))
			}
			change(s)
			return s, nil
		}
	}
	o.Library = answer(func(*draft.LibraryScores) {})
	if _, b, r, err := create(t, []byte(unnamed(t)), "model.txt", table, "", o); err != nil || b.Verified() != engine.VerifiedLibrary ||
		r.Library != "lightgbm 9" {
		t.Errorf("%v: report %+v", err, r)
	}
	o.Library = answer(func(s *draft.LibraryScores) { s.Raw[7] += 1e-5 })
	if _, _, _, err := create(t, []byte(unnamed(t)), "model.txt", table, "", o); err == nil || !strings.Contains(err.Error(), "by lightgbm 9") {
		t.Errorf("error %v for another score", err)
	}
	for name, library := range map[string]func(context.Context, draft.LibraryRequest) (*draft.LibraryScores, error){
		"too few": answer(func(s *draft.LibraryScores) { s.Raw = s.Raw[1:] }),
		"fails": func(context.Context, draft.LibraryRequest) (*draft.LibraryScores, error) {
			return nil, errors.New("no module")
		},
	} {
		o.Library = library
		_, b, r, err := create(t, []byte(unnamed(t)), "model.txt", table, "", o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b.Verified() != engine.VerifiedSelf || !strings.Contains(strings.Join(r.LookAt, "\n"), "could not be asked") {
			t.Errorf("%s: verified %s; look at %q", name, b.Verified(), r.LookAt)
		}
	}
}

// treeScore is the one tree of unnamed: a missing value goes where a zero does.
func treeScore(row []any) float64 {
	value := func(i int) float64 {
		x, _ := row[i].(float64)
		return x
	}
	switch {
	case value(0) <= 49.5:
		return -1
	case value(1) <= 30.25:
		return 0.5
	}
	return 2
}

// TestBundleIsTheSameEachTime: nothing in it depends on chance or on the order of maps.
func TestBundleIsTheSameEachTime(t *testing.T) {
	o := options()
	o.ID, o.Label = "customer", "left"
	var first string
	for range 3 {
		_, b, _, err := create(t, []byte(unnamed(t)), "model.txt", renamed(numbersTable(1000, 1)), "", o)
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = b.SHA256()
		}
		if b.SHA256() != first {
			t.Error("the same model and rows give another bundle")
		}
	}
}
