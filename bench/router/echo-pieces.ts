/** What a node of the echo sends of its streams: of each, the text to pass on, and whether it is the last. */
export type EchoPieces = [id: number, text: string, isLast: boolean][];
