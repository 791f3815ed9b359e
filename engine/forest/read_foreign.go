package forest

import (
	"bytes"
	"encoding/binary"
)

const (
	saveLightGBM = "save the model with Booster.save_model(\"model.txt\")"
	saveXGBoost  = "save the model with Booster.save_model(\"model.ubj\") or \"model.json\""
	saveEither   = "save the booster itself: LightGBM Booster.save_model(\"model.txt\"), XGBoost save_model(\"model.ubj\")"
	unpackFirst  = "unpack it first"
)

// foreignMark is how a file of another format starts, and what to do about it.
type foreignMark struct {
	prefix string
	kind   Kind
	looks  string
	advice string
}

func foreignMarks() []foreignMark {
	const (
		oldSave   = "load it with XGBoost 3.0 or older and save it as .ubj"
		sparkSave = "save its booster with the XGBoost4J-Spark that wrote it (nativeBooster.saveModel), then " + oldSave
		spark     = "XGBoost's old binary format wrapped by XGBoost4J-Spark"
	)
	return []foreignMark{
		{"binf", KindLegacy, "XGBoost's old binary format", oldSave},
		{"CONFIG-offset:", KindLegacy, "XGBoost's serialised booster", oldSave},
		{"\x00\x05_cls_", KindLegacy, spark, sparkSave},
		{"\x00\x05_reg_", KindLegacy, spark, sparkSave},
		{"bs64", KindLegacy, "XGBoost's base64 format", "load it with the XGBoost that wrote it and save it as .ubj"},
		{"\x1f\x8b", KindFormat, "a gzip archive", unpackFirst},
		{"PK\x03\x04", KindFormat, "a zip archive", unpackFirst},
		{"\x28\xb5\x2f\xfd", KindFormat, "a zstd archive", unpackFirst},
		{"BZh", KindFormat, "a bzip2 archive", unpackFirst},
		{"\xfd7zXZ\x00", KindFormat, "an xz archive", unpackFirst},
		{"\x04\x22\x4d\x18", KindFormat, "an lz4 archive", unpackFirst},
		{"7z\xbc\xaf\x27\x1c", KindFormat, "a 7z archive", unpackFirst},
		{"x\x01", KindFormat, "a compressed joblib pickle", saveEither},
		{"x\x5e", KindFormat, "a compressed joblib pickle", saveEither},
		{"x\x9c", KindFormat, "a compressed joblib pickle", saveEither},
		{"x\xda", KindFormat, "a compressed joblib pickle", saveEither},
		{"ccopy_reg\n", KindFormat, "a Python pickle", saveEither},
		{"ZF0x", KindFormat, "a compressed joblib pickle", saveEither},
		{"CBM1", KindFormat, "a CatBoost model", "only LightGBM and XGBoost models are read"},
		{"\x89HDF", KindFormat, "an HDF5 file", saveEither},
		{"PAR1", KindFormat, "a Parquet file", "this is data, not a model"},
		{"ARROW1", KindFormat, "an Arrow file", "this is data, not a model"},
		{"%PDF", KindFormat, "a PDF", saveEither},
		{"\x7fELF", KindFormat, "a compiled library", saveEither},
		{"RDX", KindFormat, "an R data file", saveEither},
		{"version https://git-lfs", KindFormat, "a Git LFS pointer", "fetch the file itself with git lfs pull"},
		{"booster[", KindFormat, "XGBoost's text dump", saveXGBoost},
		{"0:[", KindFormat, "XGBoost's text dump", saveXGBoost},
		{"digraph", KindFormat, "a Graphviz drawing", saveEither},
		{"\xff\xfe", KindFormat, "UTF-16 text", "save it as UTF-8 without a byte order mark"},
		{"\xfe\xff", KindFormat, "UTF-16 text", "save it as UTF-8 without a byte order mark"},
		{"\xef\xbb\xbf", KindFormat, "text with a byte order mark", "save it as UTF-8 without a byte order mark"},
	}
}

// foreignFormat says what a file that no reader takes looks like.
func foreignFormat(file []byte) error {
	if len(file) == 0 {
		return fault(KindFormat, "file is empty")
	}
	for _, m := range foreignMarks() {
		if bytes.HasPrefix(file, []byte(m.prefix)) {
			return looksLike(m.kind, m.looks, m.advice)
		}
	}
	text := bytes.ToLower(bytes.TrimLeft(file[:min(len(file), 512)], " \t\r\n"))
	switch {
	case bytes.HasPrefix(text, []byte("[")):
		return looksLike(KindFormat, "a JSON list such as XGBoost's dump_model writes", saveXGBoost)
	case bytes.Contains(text, []byte("<pmml")):
		return looksLike(KindFormat, "PMML", saveEither)
	case bytes.HasPrefix(text, []byte("<")):
		return looksLike(KindFormat, "a web page or XML", "download the model file itself")
	case bytes.HasPrefix(text, []byte("tree")), bytes.Contains(text, []byte("num_leaves=")):
		return looksLike(KindFormat, "LightGBM text without its first line \"tree\"", saveLightGBM)
	}
	return foreignBinary(file)
}

// foreignBinary recognises formats without a fixed mark at the start.
func foreignBinary(file []byte) error {
	if len(file) >= 2 && file[0] == 0x80 && file[1] >= 2 && file[1] <= 5 {
		return looksLike(KindFormat, "a Python pickle", saveEither)
	}
	if len(file) >= 3 && file[0] == 0x08 && file[1] < 0x20 && (file[2] == 0x12 || file[2] == 0x1a || file[2] == 0x3a) {
		return looksLike(KindFormat, "an ONNX model", saveEither)
	}
	if startsOldXGBoost(file) {
		return looksLike(KindLegacy, "XGBoost's old binary format", "load it with XGBoost 3.0 or older and save it as .ubj")
	}
	return fault(KindFormat, "not a LightGBM text model and not an XGBoost JSON or UBJSON model; %s", saveEither)
}

// startsOldXGBoost recognises XGBoost's binary format: a block of parameters, then the length of the objective's name
// and the name.
func startsOldXGBoost(file []byte) bool {
	const parameters, longest = 136, 64
	if len(file) < parameters+8+longest {
		return false
	}
	length := binary.LittleEndian.Uint64(file[parameters:])
	if length < 1 || length > longest {
		return false
	}
	name := file[parameters+8:][:length]
	return bytes.IndexByte(name, ':') > 0 && !bytes.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' })
}

func looksLike(kind Kind, looks, advice string) error {
	return fault(kind, "file looks like %s; %s", looks, advice)
}
