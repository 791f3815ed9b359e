package forest

//go:generate go -C asm_shap run . -file avx512 -out ../shap_avx512_amd64.s -stubs ../shap_avx512_amd64.go -pkg forest
//go:generate go -C asm_shap run . -file avx2 -out ../shap_avx2_amd64.s -stubs ../shap_avx2_amd64.go -pkg forest
