package forest

//go:generate go run -C asm . -file score-avx512
//go:generate go run -C asm . -file score-avx2
//go:generate go run -C asm . -file bin-avx512
//go:generate go run -C asm . -file bin-avx2
//go:generate go run -C asm . -file row-avx512
//go:generate go run -C asm . -file few
