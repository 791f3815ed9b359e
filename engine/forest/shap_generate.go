package forest

//go:generate go -C asm_shap run . -out ../shap_avx512_amd64.s -stubs ../shap_avx512_amd64.go -pkg forest
