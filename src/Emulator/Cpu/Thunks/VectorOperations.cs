using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Emulator.Cpu.Thunks;

/// <summary>An exact operation on two 16-byte operands.</summary>
internal interface IVectorOperation
{
    static abstract Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source);
}

/// <summary>
/// The frequent integer and bitwise SSE2 operations without a call into emitted code: destination = operation
/// (destination, source). Source: SDM vol. 2, under the names the operations have here.
/// </summary>
internal static unsafe class VectorOperations
{
    internal static ThunkOutcome Run<TOperation>(CpuState* s, Thunk* t, ulong operands, ulong rip, ulong offset)
        where TOperation : IVectorOperation
    {
        var destination = (Vector128<byte>*)ScratchLayout.Operand0(s, operands);
        *destination = TOperation.Apply(*destination, *(Vector128<byte>*)ScratchLayout.Operand1(s, operands));
        return ThunkOutcome.Done;
    }

    internal readonly struct And : IVectorOperation
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) => destination & source;
    }

    internal readonly struct AndNot : IVectorOperation
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) => ~destination & source;
    }

    internal readonly struct Or : IVectorOperation
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) => destination | source;
    }

    internal readonly struct Xor : IVectorOperation
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) => destination ^ source;
    }

    internal readonly struct Add<T> : IVectorOperation where T : unmanaged
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) =>
            (destination.As<byte, T>() + source.As<byte, T>()).AsByte();
    }

    internal readonly struct Subtract<T> : IVectorOperation where T : unmanaged
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) =>
            (destination.As<byte, T>() - source.As<byte, T>()).AsByte();
    }

    internal readonly struct CompareEqual<T> : IVectorOperation where T : unmanaged
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.Equals(destination.As<byte, T>(), source.As<byte, T>()).AsByte();
    }

    internal readonly struct CompareGreater<T> : IVectorOperation where T : unmanaged
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.GreaterThan(destination.As<byte, T>(), source.As<byte, T>()).AsByte();
    }

    internal readonly struct Minimum<T> : IVectorOperation where T : unmanaged
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.Min(destination.As<byte, T>(), source.As<byte, T>()).AsByte();
    }

    internal readonly struct Maximum<T> : IVectorOperation where T : unmanaged
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) =>
            Vector128.Max(destination.As<byte, T>(), source.As<byte, T>()).AsByte();
    }

    internal readonly struct UnpackLowBytes : IVectorOperation
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) => Sse2.UnpackLow(destination, source);
    }

    internal readonly struct UnpackLowWords : IVectorOperation
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) =>
            Sse2.UnpackLow(destination.AsUInt16(), source.AsUInt16()).AsByte();
    }

    internal readonly struct UnpackLowDoublewords : IVectorOperation
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) =>
            Sse2.UnpackLow(destination.AsUInt32(), source.AsUInt32()).AsByte();
    }

    internal readonly struct UnpackLowQuadwords : IVectorOperation
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) =>
            Sse2.UnpackLow(destination.AsUInt64(), source.AsUInt64()).AsByte();
    }

    internal readonly struct UnpackHighQuadwords : IVectorOperation
    {
        public static Vector128<byte> Apply(Vector128<byte> destination, Vector128<byte> source) =>
            Sse2.UnpackHigh(destination.AsUInt64(), source.AsUInt64()).AsByte();
    }
}
