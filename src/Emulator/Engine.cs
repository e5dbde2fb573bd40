namespace Emulator;

/// <summary>What executes the guest's instructions. The guest cannot tell them apart: all give the same states.</summary>
public enum Engine
{
    /// <summary>Decoded blocks, one function call an instruction: the reference.</summary>
    Interpreter,

    /// <summary>Host code made from the guest's; what it does not cover is left to the interpreter.</summary>
    Translator,

    /// <summary>Both in lockstep; the run ends at the first difference, with the instruction and the registers.</summary>
    Both,
}
