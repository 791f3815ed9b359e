package forest

import (
	"math"
	"slices"
	"unsafe"
)

// object walks an object and calls each with every key; each consumes the key's value.
func (x *xgboostReader) object(field string, each func(key string) error) error {
	first, err := x.in.next()
	if err != nil {
		return err
	}
	return x.objectFrom(field, first, each)
}

func (x *xgboostReader) objectFrom(field string, first event, each func(key string) error) error {
	if first.kind != eventObject {
		return fieldFault(KindField, field, "is no object")
	}
	// A key that comes twice would let two readers see two models. Beyond this many keys it is no object we know.
	const most = 64
	var seen []string
	for {
		e, err := x.in.next()
		if err != nil {
			return err
		}
		if e.kind == eventEndObject {
			return nil
		}
		key, ok := e.asString()
		if !ok {
			return fieldFault(KindField, field, "has a malformed key")
		}
		if slices.Contains(seen, key) {
			return fieldFault(KindField, key, "appears twice")
		}
		if len(seen) < most {
			seen = append(seen, key)
		}
		if err := each(key); err != nil {
			return err
		}
	}
}

// array walks an array and calls each with the first event of every element, the remainder of which each consumes.
func (x *xgboostReader) array(field string, each func(i int, first event) error) error {
	first, err := x.in.next()
	if err != nil {
		return err
	}
	return x.arrayFrom(field, first, each)
}

func (x *xgboostReader) arrayFrom(field string, first event, each func(i int, first event) error) error {
	if first.kind != eventArray {
		return fieldFault(KindField, field, "is no array")
	}
	for i := 0; ; i++ {
		e, err := x.in.next()
		if err != nil {
			return err
		}
		if e.kind == eventEndArray {
			return nil
		}
		if err := each(i, e); err != nil {
			return err
		}
	}
}

// readArray reads an array of scalars into a slice that it reuses.
func readArray[T int32 | int64 | float32 | uint8](
	x *xgboostReader, field string, into *[]T, of func(event) (T, bool),
) error {
	first, err := x.in.next()
	if err != nil {
		return err
	}
	return readArrayFrom(x, field, first, into, of)
}

func readArrayFrom[T int32 | int64 | float32 | uint8](
	x *xgboostReader, field string, first event, into *[]T, of func(event) (T, bool),
) error {
	values := (*into)[:0]
	err := x.arrayFrom(field, first, func(i int, e event) error {
		v, ok := of(e)
		if !ok {
			return fieldFault(KindField, field, "value %d is malformed or out of range", i)
		}
		if len(values) == cap(values) {
			var err error
			if values, err = grow(x.meter, values); err != nil {
				return err
			}
		}
		values = append(values, v)
		return nil
	})
	if values == nil {
		values = []T{}
	}
	*into = values
	return err
}

// grow doubles a slice's capacity within the meter.
func grow[T any](m *meter, values []T) ([]T, error) {
	const least = 256
	size := int(unsafe.Sizeof(*new(T)))
	old := cap(values)
	capacity := max(least, 2*old)
	if err := m.take(capacity, size); err != nil {
		return nil, err
	}
	grown := append(make([]T, 0, capacity), values...)
	m.giveBack(old, size)
	return grown, nil
}

func int32Of(e event) (int32, bool) {
	v, ok := e.asInt()
	return int32(v), ok && v >= math.MinInt32 && v <= math.MaxInt32
}

func int64Of(e event) (int64, bool) { return e.asInt() }

// flagOf reads 0 or 1; booleans count, XGBoost wrote those before 1.6.
func flagOf(e event) (uint8, bool) {
	v, ok := e.asInt()
	return uint8(v), ok && (v == 0 || v == 1)
}

func (x *xgboostReader) string(field string, into *string) error {
	e, err := x.in.next()
	if err != nil {
		return err
	}
	text, ok := e.asString()
	if !ok {
		return fieldFault(KindField, field, "is no string")
	}
	*into = text
	return nil
}

// textInt reads an integer that XGBoost writes as text.
func (x *xgboostReader) textInt(field string, into *int64) error {
	var text string
	if err := x.string(field, &text); err != nil {
		return err
	}
	v, ok := parseInt([]byte(text))
	if !ok {
		return fieldFault(KindField, field, "%s is no integer", clipped(text))
	}
	*into = v
	return nil
}

// readNames reads an array of strings.
func (x *xgboostReader) readNames(field string, into *[]string) error {
	return x.array(field, func(i int, e event) error {
		text, ok := e.asString()
		if !ok {
			return fieldFault(KindField, field, "value %d is no string", i)
		}
		if i >= x.meter.limits.Features {
			return fault(KindLimits, "model has more than %d features", x.meter.limits.Features)
		}
		const stringBytes = 3 * 16
		if err := x.meter.take(stringBytes+len(text), 1); err != nil {
			return err
		}
		*into = append(*into, text)
		return nil
	})
}

// skip passes over one value.
func (x *xgboostReader) skip() error {
	e, err := x.in.next()
	if err != nil {
		return err
	}
	return skipValue(x.in, e)
}
