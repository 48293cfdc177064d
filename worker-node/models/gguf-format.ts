/**
 * The words of the GGUF file format, version 3, little endian.
 * Source: `docs/gguf.md` of ggml and the constants of the `gguf` Python package.
 */

/** "GGUF" as a little-endian number. */
export const ggufMagic = 0x46554747;
export const ggufVersion = 3;
/** `general.alignment` where the file does not say: each tensor starts at a multiple of it. */
export const defaultAlignment = 32;

/** Number that stands for each kind of metadata value in the file. */
export const ggufValueTypes = {
  uint8: 0,
  int8: 1,
  uint16: 2,
  int16: 3,
  uint32: 4,
  int32: 5,
  float32: 6,
  bool: 7,
  string: 8,
  array: 9,
  uint64: 10,
  int64: 11,
  float64: 12,
} as const;

export type GgufNumberType = "uint8" | "int8" | "uint16" | "int16" | "uint32" | "int32" | "float32" | "float64";

/** One metadata value with the type it has in the file. */
export type GgufScalar =
  | { type: GgufNumberType; value: number }
  | { type: "uint64" | "int64"; value: bigint }
  | { type: "bool"; value: boolean }
  | { type: "string"; value: string };

export type GgufArray =
  | { type: "array"; of: GgufNumberType; value: readonly number[] }
  | { type: "array"; of: "uint64" | "int64"; value: readonly bigint[] }
  | { type: "array"; of: "bool"; value: readonly boolean[] }
  | { type: "array"; of: "string"; value: readonly string[] };

export type GgufValue = GgufScalar | GgufArray;

export interface GgufTensorType {
  name: string;
  /** Elements stored together. */
  blockElements: number;
  /** Bytes that one block takes. */
  blockBytes: number;
}

const tensorType = (name: string, blockElements: number, blockBytes: number): GgufTensorType => ({
  name,
  blockElements,
  blockBytes,
});

/** Tensor types by their number in the file. A number that is missing here is newer than this table. */
export const ggufTensorTypes: ReadonlyMap<number, GgufTensorType> = new Map([
  [0, tensorType("F32", 1, 4)],
  [1, tensorType("F16", 1, 2)],
  [2, tensorType("Q4_0", 32, 18)],
  [3, tensorType("Q4_1", 32, 20)],
  [6, tensorType("Q5_0", 32, 22)],
  [7, tensorType("Q5_1", 32, 24)],
  [8, tensorType("Q8_0", 32, 34)],
  [9, tensorType("Q8_1", 32, 40)],
  [10, tensorType("Q2_K", 256, 84)],
  [11, tensorType("Q3_K", 256, 110)],
  [12, tensorType("Q4_K", 256, 144)],
  [13, tensorType("Q5_K", 256, 176)],
  [14, tensorType("Q6_K", 256, 210)],
  [15, tensorType("Q8_K", 256, 292)],
  [16, tensorType("IQ2_XXS", 256, 66)],
  [17, tensorType("IQ2_XS", 256, 74)],
  [18, tensorType("IQ3_XXS", 256, 98)],
  [19, tensorType("IQ1_S", 256, 50)],
  [20, tensorType("IQ4_NL", 32, 18)],
  [21, tensorType("IQ3_S", 256, 110)],
  [22, tensorType("IQ2_S", 256, 82)],
  [23, tensorType("IQ4_XS", 256, 136)],
  [24, tensorType("I8", 1, 1)],
  [25, tensorType("I16", 1, 2)],
  [26, tensorType("I32", 1, 4)],
  [27, tensorType("I64", 1, 8)],
  [28, tensorType("F64", 1, 8)],
  [29, tensorType("IQ1_M", 256, 56)],
  [30, tensorType("BF16", 1, 2)],
  [34, tensorType("TQ1_0", 256, 54)],
  [35, tensorType("TQ2_0", 256, 66)],
  [39, tensorType("MXFP4", 32, 17)],
  [40, tensorType("NVFP4", 64, 36)],
  [41, tensorType("Q1_0", 128, 18)],
]);

/** `general.file_type` in llama.cpp's words; index is the number in the file, gaps were removed from the format. */
export const ggufFileTypes: Readonly<Record<number, string>> = {
  0: "F32",
  1: "F16",
  2: "Q4_0",
  3: "Q4_1",
  7: "Q8_0",
  8: "Q5_0",
  9: "Q5_1",
  10: "Q2_K",
  11: "Q3_K_S",
  12: "Q3_K_M",
  13: "Q3_K_L",
  14: "Q4_K_S",
  15: "Q4_K_M",
  16: "Q5_K_S",
  17: "Q5_K_M",
  18: "Q6_K",
  19: "IQ2_XXS",
  20: "IQ2_XS",
  21: "Q2_K_S",
  22: "IQ3_XS",
  23: "IQ3_XXS",
  24: "IQ1_S",
  25: "IQ4_NL",
  26: "IQ3_S",
  27: "IQ3_M",
  28: "IQ2_S",
  29: "IQ2_M",
  30: "IQ4_XS",
  31: "IQ1_M",
  32: "BF16",
  36: "TQ1_0",
  37: "TQ2_0",
  38: "MXFP4_MOE",
  39: "NVFP4",
  40: "Q1_0",
};

/** What a vocabulary entry is to the tokeniser (`tokenizer.ggml.token_type`). */
export const ggufTokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** `<architecture>.pooling_type`: how token vectors become one; `none` is a generating model. */
export const ggufPoolingTypes = { none: 0, mean: 1, cls: 2, last: 3, rank: 4 } as const;
export type GgufPooling = keyof typeof ggufPoolingTypes;
