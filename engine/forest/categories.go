package forest

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// categoryList holds a feature's categories by code.
type categoryList struct {
	values []string
	kind   CategoryKind
	// damaged says that the texts are no UTF-8 or may have been cut; then they are of no use.
	damaged bool
}

// Code returns the code of a category, for reading a column that the model knows by name. Integers and floats compare
// as numbers, bools in any case; a category that training never saw has no code.
func (f *Feature) Code(category string) (code int, ok bool) {
	switch f.CategoryKind {
	case CategoryInteger, CategoryFloat:
		want, err := strconv.ParseFloat(category, 64)
		if err != nil {
			return 0, false
		}
		for i, c := range f.Categories {
			if v, err := strconv.ParseFloat(c, 64); err == nil && v == want {
				return i, true
			}
		}
	case CategoryBool:
		for i, c := range f.Categories {
			if strings.EqualFold(c, category) {
				return i, true
			}
		}
	default:
		for i, c := range f.Categories {
			if c == category {
				return i, true
			}
		}
	}
	return 0, false
}

// readCategoryLists reads the JSON behind pandas_categorical: null or a list of lists.
func readCategoryLists(text []byte, m *meter) ([]categoryList, error) {
	const field = "pandas_categorical"
	if string(text) == "null" {
		return nil, nil
	}
	x := &xgboostReader{in: newJSONReader(text, m), meter: m}
	var lists []categoryList
	err := x.array(field, func(i int, first event) error {
		list, err := readCategoryList(x, first)
		if err != nil {
			return err
		}
		if err := m.take(3, 40); err != nil {
			return err
		}
		lists = append(lists, list)
		return nil
	})
	if err == nil {
		_, err = x.in.next() // bytes behind the list
	}
	if e, ok := err.(*Error); ok && e.Field == "" {
		e.Field = field
	}
	return lists, err
}

func readCategoryList(x *xgboostReader, first event) (categoryList, error) {
	var list categoryList
	if first.kind != eventArray {
		return list, fault(KindField, "is no list of lists")
	}
	for {
		e, err := x.in.next()
		if err != nil || e.kind == eventEndArray {
			return list, err
		}
		value, kind, ok := categoryText(e)
		if !ok {
			return list, fault(KindCategory, "category %d is no string, number or bool", len(list.values))
		}
		if len(list.values) == 0 {
			list.kind = kind
		}
		if kind != list.kind {
			list.kind = mixedCategories(list.kind, kind)
		}
		const stringBytes = 3 * 16
		if err := x.meter.take(stringBytes+len(value), 1); err != nil {
			return list, err
		}
		list.values = append(list.values, value)
	}
}

// mixedCategories is the type of a list that holds both a and b: numbers stay numbers, anything else is compared as
// text.
func mixedCategories(a, b CategoryKind) CategoryKind {
	if a+b == CategoryInteger+CategoryFloat && a != CategoryText && b != CategoryText {
		return CategoryFloat
	}
	return CategoryText
}

func categoryText(e event) (value string, kind CategoryKind, ok bool) {
	switch e.kind {
	case eventString:
		value, ok = e.asString()
		return value, CategoryText, ok
	case eventBool:
		return pythonBool(e.integer != 0), CategoryBool, true
	case eventNumber:
		if _, ok := parseInt(e.text); ok {
			return string(e.text), CategoryInteger, true
		}
		v, ok := parseFloat(e.text, 64)
		return pythonFloat(v, 64), CategoryFloat, ok && !math.IsNaN(v)
	}
	return "", 0, false
}

// readCats reads XGBoost's record of a data frame's categories. Its other keys only help sorting.
func (x *xgboostReader) readCats(key string) error {
	if key != "enc" {
		return x.skip()
	}
	return x.array("cats.enc", func(i int, first event) error {
		if i >= x.meter.limits.Features {
			return fault(KindLimits, "model has more than %d features", x.meter.limits.Features)
		}
		var enc xgboostCats
		if err := x.objectFrom("cats.enc", first, func(key string) error { return enc.readField(x, key) }); err != nil {
			return err
		}
		list, err := enc.list(x.meter)
		if err != nil {
			return err
		}
		if err := x.meter.take(3, 40); err != nil {
			return err
		}
		x.categories = append(x.categories, list)
		return nil
	})
}

// xgboostCats is one feature's entry: text as the bytes of all categories with their offsets, or typed numbers.
type xgboostCats struct {
	offsets []int32
	values  []int64
	kind    int64
}

// Type numbers of numeric categories in the file.
const (
	catsFloat32 = 7
	catsFloat64 = 8
	catsUint8   = 10
	catsUint16  = 12
	catsUint32  = 14
	catsUint64  = 16
)

func (c *xgboostCats) readField(x *xgboostReader, key string) error {
	switch key {
	case "offsets":
		return readArray(x, "cats.offsets", &c.offsets, int32Of)
	case "type":
		e, err := x.in.next()
		if err != nil {
			return err
		}
		var ok bool
		if c.kind, ok = e.asInt(); !ok || c.kind < catsFloat32 || c.kind > catsUint64 {
			return fieldFault(KindCategory, "cats.type", "is unknown")
		}
		return nil
	case "values":
		return readArray(x, "cats.values", &c.values, int64Of)
	}
	return x.skip()
}

func (c *xgboostCats) list(m *meter) (categoryList, error) {
	if c.kind == catsFloat32 || c.kind == catsFloat64 {
		return categoryList{}, fieldFault(KindUnsupported, "cats.type", "categories that are floats are not supported")
	}
	const stringBytes = 16 + 24
	if err := m.take(len(c.offsets)+len(c.values), stringBytes); err != nil {
		return categoryList{}, err
	}
	defer m.giveBack(cap(c.values), 8)
	defer m.giveBack(cap(c.offsets), 4)
	if c.kind != 0 {
		return categoryList{values: c.numbers(), kind: CategoryInteger}, nil
	}
	return c.texts()
}

// numbers formats integer categories. UBJSON has no unsigned type wider than a byte: those come as signed ones.
func (c *xgboostCats) numbers() []string {
	widths := map[int64]uint{catsUint8: 8, catsUint16: 16, catsUint32: 32, catsUint64: 64}
	texts := make([]string, len(c.values))
	for i, v := range c.values {
		if width, unsigned := widths[c.kind]; unsigned && v < 0 {
			texts[i] = strconv.FormatUint(uint64(v)&(1<<width-1), 10)
			continue
		}
		texts[i] = strconv.FormatInt(v, 10)
	}
	return texts
}

// texts cuts the bytes of all categories at their offsets.
func (c *xgboostCats) texts() (list categoryList, err error) {
	if len(c.offsets) == 0 {
		return list, nil
	}
	all := make([]byte, len(c.values))
	for i, v := range c.values {
		all[i] = byte(v)
	}
	list.values = make([]string, len(c.offsets)-1)
	for i := range list.values {
		from, to := c.offsets[i], c.offsets[i+1]
		if from < 0 || to < from || int(to) > len(all) {
			return list, fieldFault(KindCategory, "cats.offsets", "value %d is out of range or descends", i)
		}
		list.values[i] = string(all[from:to])
		list.damaged = list.damaged || !utf8.ValidString(list.values[i])
	}
	return list, nil
}
